// RFC 4254 5: one channel's state. The connection owns its entry in the table of channels and passes packets on; the
// channel sends its own. Ends with the connection, but what the peer sent before stays readable.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/ssh/byte_queue.hpp"
#include "server/ssh/session.hpp"
#include "server/ssh/signal.hpp"

namespace berth::ssh {

class Connection;

inline constexpr std::uint32_t kMaxPacket = 32 * 1024;  // data in one packet, either way; what OpenSSH uses

// What the channels of one connection take up together; a channel counts until nobody holds it any more.
struct ChannelBudget {
  explicit ChannelBudget(std::shared_ptr<WindowPool> of_all) : pool(std::move(of_all)) {}
  void add_window(std::uint64_t bytes) { windows += bytes, pool->granted.fetch_add(bytes, std::memory_order_relaxed); }
  void give_back_window(std::uint64_t bytes) { windows -= bytes, pool->granted.fetch_sub(bytes, std::memory_order_relaxed); }
  int channels = 0;
  std::uint64_t windows = 0;  // bytes, of `pool` too
  const std::shared_ptr<WindowPool> pool;
  std::size_t requests = 0;   // bytes of channel requests that nobody has taken yet
};

class ChannelImpl final : public Channel {
 public:
  // The peer's side of a channel, from CHANNEL_OPEN or CHANNEL_OPEN_CONFIRMATION.
  struct Remote {
    std::uint32_t id = 0;
    std::uint32_t window = 0;
    std::uint32_t max_packet = 0;
  };
  enum class State { asked_by_peer, asked_by_us, open, refused };

  ChannelImpl(Connection& connection, std::uint32_t id, ChannelOpen opening, std::optional<Remote> remote, std::uint32_t window);
  ~ChannelImpl() override;

  const ChannelOpen& opening() const override { return opening_; }
  void confirm() override;
  void refuse(OpenFailure reason, std::string_view text) override;
  boost::asio::awaitable<Result<ChannelRequest>> next_request() override;
  void reply(bool success) override;
  boost::asio::awaitable<Result<std::size_t>> read(boost::asio::mutable_buffer into) override;
  boost::asio::awaitable<Result<std::string_view>> peek() override;
  void consume(std::size_t count) override;
  void take_at_once(Taker taker) override { taker_ = std::move(taker); }
  boost::asio::awaitable<Result<void>> write(boost::asio::const_buffer data, bool as_stderr) override;
  void send_eof() override;
  void send_eow() override;
  void send_exit_status(std::uint32_t code) override;
  void send_exit_signal(std::string_view name, bool core_dumped, std::string_view message) override;
  void hold_close() override { close_held_ = true; }
  boost::asio::awaitable<void> gone() override;
  void close() override;
  void cut_off() override;
  bool ended_by_client() const override { return close_received_ || client_disconnected_; }
  std::uint64_t bytes_in() const override { return bytes_in_; }
  std::uint64_t bytes_out() const override { return bytes_out_; }

  // From the connection. Functions that answer a reason found a violation: the connection disconnects with it.
  using Violation = std::optional<std::string>;
  Violation on_confirmation(const Remote& remote);
  void on_refusal(Error error);
  Violation on_data(std::string_view data, bool extended);
  Violation on_window_adjust(std::uint32_t bytes);
  void on_eof();
  void on_close();
  // `size`: of its packet.
  Violation on_request(ChannelRequest request, bool want_reply, std::size_t size);
  // The connection is gone; `reason` is what waiting coroutines get.
  void on_end(const Error& reason, bool client_disconnected);
  // The last handle outside is gone.
  void abandon();

  std::uint32_t id() const { return id_; }
  std::uint32_t window() const { return window_max_; }
  State state() const { return state_; }
  boost::asio::awaitable<Result<void>> wait_confirmed();

 private:
  struct QueuedRequest {
    ChannelRequest request;
    bool want_reply;
    std::size_t size;
  };
  // Counts a write in progress; the last one to leave a closing channel sends CHANNEL_CLOSE.
  class Writing;

  bool writable() const { return may_tell_exit() && !close_received_; }
  bool may_tell_exit() const { return connection_ && state_ == State::open && !close_sent_; }
  void refill_window(std::size_t taken);
  void watch_grant(std::size_t received);
  std::uint32_t window_growth();
  void send_close();
  void finish_if_closed();
  void leave_connection();
  Error closed_error() const;

  Connection* connection_;  // none after the channel or the connection has ended
  const std::shared_ptr<ChannelBudget> budget_;
  const std::uint32_t id_;
  const ChannelOpen opening_;
  std::optional<Remote> remote_;
  State state_;
  std::optional<Error> end_;  // why the channel ended without the peer's CLOSE

  std::uint32_t window_max_;   // what the peer may have in flight or unread here
  std::uint32_t window_left_;  // of it, what the peer may still send
  std::uint32_t taken_ = 0;    // read here, not yet given back by WINDOW_ADJUST
  struct Grant {
    std::uint64_t limit;     // bytes that the peer could send in all before it
    std::uint64_t received;  // bytes that had come when it was sent
    std::chrono::steady_clock::time_point time;
  };
  std::uint64_t bytes_received_ = 0;
  std::optional<Grant> grant_;  // one that the peer has not used yet
  double best_rate_ = 0;        // bytes per second at the last growth
  bool may_grow_ = false;
  ByteQueue input_;
  Taker taker_;  // of what comes while input_ is empty
  std::vector<QueuedRequest> requests_;
  std::optional<bool> reply_due_;  // want_reply of the request that next_request answered last

  int writers_ = 0;
  bool eof_received_ = false;
  bool close_received_ = false;
  bool client_disconnected_ = false;
  bool eof_sent_ = false;
  bool eow_sent_ = false;
  bool close_wanted_ = false;
  bool close_held_ = false;
  bool close_sent_ = false;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;

  Signal readable_;
  Signal writable_;
  Signal requested_;
};

}  // namespace berth::ssh
