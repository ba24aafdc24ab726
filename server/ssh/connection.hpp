// The Session of session.hpp: a socket, a transport, and the tables of RFC 4254. Three coroutines keep it alive until the
// socket is closed: one reads, one flushes what the socket did not take at once, one watches the time.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "server/ssh/byte_queue.hpp"
#include "server/ssh/channel_impl.hpp"
#include "server/ssh/requests.hpp"
#include "server/ssh/session.hpp"
#include "server/ssh/signal.hpp"
#include "server/ssh/transport.hpp"

namespace berth::ssh {

class Connection final : public Session, public Transport::Owner, public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<const ServerOptions> options);
  ~Connection() override;
  boost::asio::awaitable<Result<void>> run_handshake();

  boost::asio::awaitable<Result<AuthRequest>> next_auth_request() override;
  void answer_auth(bool accept) override;
  void send_banner(std::string_view text) override;
  int failed_auth_tries() const override { return failed_tries_; }
  boost::asio::awaitable<Result<std::shared_ptr<Channel>>> next_channel() override;
  boost::asio::awaitable<Result<GlobalRequest>> next_global_request() override;
  void reply_global(bool success, std::optional<std::uint32_t> port) override;
  boost::asio::awaitable<Result<std::shared_ptr<Channel>>> open_channel(std::string_view type,
                                                                        std::string_view type_specific_data) override;
  void disconnect(std::uint32_t reason_code, std::string_view text) override;
  void count_into(Counter bytes_in, Counter bytes_out) override { bytes_in_ = std::move(bytes_in), bytes_out_ = std::move(bytes_out); }
  std::string client_version() const override { return client_version_; }
  std::string cipher() const override { return cipher_; }

  // For channels.
  const boost::asio::any_io_executor& executor() const { return executor_; }
  // `more`: another packet follows at once, so the kernel may wait for it to fill a segment.
  bool send(std::string_view head, std::string_view body = {}, bool more = false);
  // Payload of its channels, for count_into().
  void count_in(std::uint64_t bytes) const { if (bytes_in_) bytes_in_->fetch_add(bytes, std::memory_order_relaxed); }
  void count_out(std::uint64_t bytes) const { if (bytes_out_) bytes_out_->fetch_add(bytes, std::memory_order_relaxed); }
  // Writers wait on output_ready while this holds: a slow peer, or a key exchange under way.
  bool output_full() const { return rekeying_ || output_.size() >= options_->output_cap; }
  Signal& output_ready() { return output_ready_; }
  // How much of `wanted` a channel's window may grow: what the windows of all channels together may still take.
  std::uint32_t window_grant(std::uint64_t wanted) const;
  void violation(std::string_view text);
  void forget_channel(std::uint32_t id);
  const std::shared_ptr<ChannelBudget>& budget() const { return budget_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct AuthEntry {
    AuthRequest request;
    std::string algorithm;
  };
  struct PendingGlobal {
    std::optional<GlobalRequest> request;  // none: answered by the library
    bool want_reply = false;
    bool answered = false;
    std::string answer;  // the packet, when answered and wanted
  };
  using PacketHandler = void (Connection::*)(std::string_view payload);
  static PacketHandler handler_of(std::uint8_t type);

  // connection.cpp: life
  static boost::asio::awaitable<void> read_loop(std::shared_ptr<Connection> self);
  static boost::asio::awaitable<void> flush_loop(std::shared_ptr<Connection> self);
  static boost::asio::awaitable<void> watch_loop(std::shared_ptr<Connection> self);
  bool read_available();
  void watch_tick();
  Clock::duration watch_interval() const;
  bool on_packet(std::uint8_t type, std::string_view payload) override;
  void on_output(std::string_view bytes) override;
  void after_feed();
  void end(Error reason);
  void close_socket();
  void give_up(std::string why);
  void on_disconnect(std::string_view payload);

  // connection_auth.cpp
  void on_service_request(std::string_view payload);
  bool on_userauth_request(std::string_view payload);
  void settle_signed_request();
  void queue_auth(AuthEntry entry);
  void refuse_auth(bool counts);

  // connection_hostkeys.cpp
  void on_kex_init(std::string_view payload);
  void announce_host_keys();
  std::optional<std::string> prove_host_keys(std::string_view payload);

  // connection_channels.cpp
  void on_channel_open(std::string_view payload);
  void on_channel_confirmation(std::string_view payload);
  void on_channel_failure_to_open(std::string_view payload);
  void on_window_adjust(std::string_view payload);
  void on_channel_data(std::string_view payload);
  void on_channel_extended_data(std::string_view payload);
  void on_channel_eof(std::string_view payload);
  void on_channel_close(std::string_view payload);
  void on_channel_request(std::string_view payload);
  void on_channel_reply(std::string_view payload);
  void on_global_request(std::string_view payload);
  void on_global_reply(std::string_view payload);
  void flush_global_answers();
  void refuse_channel(const ParsedChannelOpen& open, OpenFailure reason, std::string_view text);
  std::shared_ptr<ChannelImpl> channel_of(std::uint32_t id);
  void apply(ChannelImpl::Violation violation);
  std::shared_ptr<ChannelImpl> make_channel(ChannelOpen opening, std::optional<ChannelImpl::Remote> remote);
  bool channels_exhausted() const { return budget_->channels >= options_->max_channels; }

  boost::asio::ip::tcp::socket socket_;
  const boost::asio::any_io_executor executor_;
  const std::shared_ptr<const ServerOptions> options_;
  std::unique_ptr<Transport> transport_;
  boost::asio::steady_timer watch_;
  const Clock::time_point started_ = Clock::now();
  std::optional<Error> end_;
  bool client_disconnected_ = false;
  std::string client_version_;
  std::string cipher_;

  ByteQueue output_;
  bool flushing_ = false;
  bool more_follows_ = false;
  std::optional<std::string> broken_;  // why the socket is of no more use
  std::optional<bool> rsa_sha256_;  // is the negotiated host key algorithm rsa-sha2-256? none: no key exchange has begun
  int proofs_ = 0;
  bool rekeying_ = false;
  bool rekey_answered_ = false;
  Clock::time_point rekey_started_;
  std::size_t held_ = 0;  // bytes of packets that libssh keeps until the key exchange has ended
  bool heard_ = false;  // anything from the peer since the last tick of the watch
  int keepalives_unanswered_ = 0;

  bool service_accepted_ = false;
  bool authenticated_ = false;
  bool auth_started_ = false;
  std::string banner_;  // for when it has
  std::string user_;
  int failed_tries_ = 0;
  int failed_queries_ = 0;
  std::optional<AuthEntry> signed_request_;  // left to libssh, not yet settled
  std::vector<AuthEntry> auth_queue_;
  std::optional<AuthEntry> auth_current_;

  std::vector<std::shared_ptr<ChannelImpl>> channels_;  // by our number; empty places are free
  const std::shared_ptr<ChannelBudget> budget_ = std::make_shared<ChannelBudget>(options_->windows);
  Counter bytes_in_, bytes_out_;  // none until somebody counts
  bool no_more_sessions_ = false;
  struct NewChannel {
    std::shared_ptr<Channel> channel;
    std::uint64_t after;  // so many global requests came before it
  };
  // Vectors, not deques: they are short, and an empty deque takes half a kilobyte.
  std::vector<NewChannel> new_channels_;
  std::vector<PendingGlobal> globals_;
  std::uint64_t globals_came_ = 0, globals_answered_ = 0;
  std::size_t globals_taken_ = 0;  // of globals_, those that next_global_request has seen

  Signal handshake_done_;
  Signal auth_requested_;
  Signal channel_opened_;
  Signal global_requested_;
  Signal output_ready_;
};

}  // namespace berth::ssh
