// The life of a connection: handshake, reading, flushing, time, end. The protocols are in connection_auth.cpp and
// connection_channels.cpp.
#include "server/ssh/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace asio = boost::asio;

namespace {

void acknowledge_now(int socket) {
  const int yes = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);  // of TCP only; a system without it is slower, no more
}

constexpr std::size_t kReadSize = 136 * 1024;  // four of OpenSSH's packets of 32 KiB, with what is around them
constexpr int kReadsInARow = 8;  // then other coroutines of the lane get their turn
// A peer that leaves answers unread: writers wait at output_cap, but answers to its own requests keep piling up.
constexpr std::size_t kHardOutputCap = 4 * 1024 * 1024;
constexpr std::size_t kHeldPacket = 512;  // what libssh needs for one beside its bytes
constexpr std::chrono::seconds kLinger{2};          // for the client to read the reason of a disconnect
constexpr std::chrono::seconds kRekeyLimit{60};     // for a key exchange after the first
constexpr std::chrono::seconds kWatchWithoutKeepalive{60};

}  // namespace

asio::awaitable<Result<std::shared_ptr<Session>>> Session::handshake(asio::ip::tcp::socket socket,
                                                                     std::shared_ptr<const ServerOptions> options) {
  auto connection = std::make_shared<Connection>(std::move(socket), std::move(options));
  // The connection lives until its socket is closed; the handle's end is what closes it.
  std::shared_ptr<Session> handle(connection.get(), [connection](Session*) {
    connection->disconnect(kDisconnectByApplication, "The server ended the session.");
  });
  const Result<void> done = co_await connection->run_handshake();
  if (!done) co_return done.error();
  co_return handle;
}

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<const ServerOptions> options)
    : socket_(std::move(socket)),
      executor_(socket_.get_executor()),
      options_(std::move(options)),
      watch_(executor_),
      handshake_done_(executor_),
      auth_requested_(executor_),
      channel_opened_(executor_),
      global_requested_(executor_),
      output_ready_(executor_) {}

Connection::~Connection() { end(Error{ErrorKind::closed, "The server is stopping."}); }

asio::awaitable<Result<void>> Connection::run_handshake() {
  boost::system::error_code error;
  socket_.non_blocking(true, error);
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.set_option(asio::socket_base::keep_alive(true), error);  // as sshd: the last resort where keepalive_interval is 0
  if (error) co_return Error{ErrorKind::closed, "The connection is gone: " + error.message()};
  Result<std::unique_ptr<Transport>> transport = Transport::create(*this, options_);
  if (!transport) {
    close_socket();
    co_return transport.error();
  }
  transport_ = std::move(*transport);
  asio::co_spawn(executor_, read_loop(shared_from_this()), asio::detached);
  asio::co_spawn(executor_, watch_loop(shared_from_this()), asio::detached);
  transport_->start();
  after_feed();
  while (!end_ && !transport_->keys_exchanged()) co_await handshake_done_.wait();
  if (end_) co_return *end_;
  co_return boost::system::in_place_value;
}

asio::awaitable<void> Connection::read_loop(std::shared_ptr<Connection> self) {
  boost::system::error_code error;
  while (!error && self->socket_.is_open()) {
    co_await self->socket_.async_wait(asio::ip::tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    try {
      for (int i = 0; i < kReadsInARow && self->read_available(); ++i) {}
    } catch (const std::exception&) {  // out of memory: this connection's end, not the server's
      self->end(Error{ErrorKind::internal, "The server is out of memory."});
      self->close_socket();
    }
  }
  self->end(Error{ErrorKind::closed, "The connection is closed."});
  self->close_socket();
  self->transport_.reset();
}

// Reads once; true when there may be more.
bool Connection::read_available() {
  thread_local std::vector<char> buffer(kReadSize);
  if (!socket_.is_open()) return false;
  const std::size_t wanted = transport_->next_read(buffer.size());
  const ssize_t count = ::recv(socket_.native_handle(), buffer.data(), wanted, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    end(Error{ErrorKind::closed, broken_ ? *broken_ : count == 0 ? "The client closed the connection." : "The connection broke."});
    close_socket();
    return false;
  }
  if (end_) return true;  // after a disconnect: drained, so that the client still gets to read why
  heard_ = true;
  // Until the first keys are there OpenSSH's client waits for an acknowledgement of each packet before it sends the next one, and we have no answer
  // to some that would carry it: the system would keep it back for 40 ms.
  if (!transport_->keys_exchanged()) acknowledge_now(socket_.native_handle());
  transport_->feed({buffer.data(), static_cast<std::size_t>(count)});
  after_feed();
  return static_cast<std::size_t>(count) == wanted;
}

void Connection::after_feed() {
  if (end_) return;
  settle_signed_request();
  if (std::exchange(rekey_answered_, false)) {
    rekeying_ = false;
    held_ = 0;
    output_ready_.notify();
  }
  if (transport_->failed()) {
    // In sshd's words, for whoever speaks something else.
    if (!transport_->client_version().starts_with("SSH-")) on_output("Invalid SSH identification string.\r\n");
    violation(transport_->failure());
    return;
  }
  if (client_version_.empty() && transport_->keys_exchanged()) {
    client_version_ = transport_->client_version();
    cipher_ = transport_->cipher();
    handshake_done_.notify();
  }
}

bool Connection::on_packet(std::uint8_t type, std::string_view payload) {
  settle_signed_request();
  if (end_) return true;
  if (type == kMsgKexInit) {
    rekeying_ = true;
    rekey_started_ = Clock::now();
    on_kex_init(payload);
    return false;
  }
  if (type == kMsgKexDhInit) {  // libssh answers it with NEWKEYS and then sends what it kept back
    rekey_answered_ = true;
    return false;
  }
  if (type == kMsgUserauthRequest) return on_userauth_request(payload);
  if (const PacketHandler handler = handler_of(type)) {
    (this->*handler)(payload);
    return true;
  }
  if (type > kMsgUserauthRequest) {
    violation("a message that a client does not send");
    return true;
  }
  return false;
}

Connection::PacketHandler Connection::handler_of(std::uint8_t type) {
  struct Row {
    std::uint8_t type;
    PacketHandler handler;
  };
  static constexpr Row kRows[] = {
      {kMsgChannelData, &Connection::on_channel_data},
      {kMsgChannelWindowAdjust, &Connection::on_window_adjust},
      {kMsgChannelExtendedData, &Connection::on_channel_extended_data},
      {kMsgChannelEof, &Connection::on_channel_eof},
      {kMsgChannelClose, &Connection::on_channel_close},
      {kMsgChannelRequest, &Connection::on_channel_request},
      {kMsgChannelSuccess, &Connection::on_channel_reply},
      {kMsgChannelFailure, &Connection::on_channel_reply},
      {kMsgChannelOpen, &Connection::on_channel_open},
      {kMsgChannelOpenConfirmation, &Connection::on_channel_confirmation},
      {kMsgChannelOpenFailure, &Connection::on_channel_failure_to_open},
      {kMsgGlobalRequest, &Connection::on_global_request},
      {kMsgRequestSuccess, &Connection::on_global_reply},
      {kMsgRequestFailure, &Connection::on_global_reply},
      {kMsgServiceRequest, &Connection::on_service_request},
      {kMsgDisconnect, &Connection::on_disconnect},
  };
  for (const Row& row : kRows)
    if (row.type == type) return row.handler;
  return nullptr;
}

bool Connection::send(std::string_view head, std::string_view body, bool more) {
  if (end_ || !transport_) return false;
  more_follows_ = more;
  const bool sent = transport_->send(head, body);
  more_follows_ = false;
  if (!sent && !rekeying_) {  // libssh has begun a key exchange of its own accord
    rekeying_ = true;
    rekey_started_ = Clock::now();
  }
  if (sent) return true;
  // Writers wait for the end of a key exchange, but a client that delays it may go on asking for answers.
  held_ += head.size() + body.size() + kHeldPacket;
  if (held_ > kHardOutputCap && !broken_) give_up("The client asks for more during a key exchange than the server keeps.");
  return false;
}

void Connection::on_output(std::string_view bytes) {
  if (broken_ || !socket_.is_open()) return;
  if (output_.empty()) {
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more_follows_ ? MSG_MORE : 0);
    const ssize_t count = ::send(socket_.native_handle(), bytes.data(), bytes.size(), flags);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      broken_ = "The connection broke.";  // the read loop sees it too, and ends the connection
      return;
    }
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    if (bytes.empty()) return;
  }
  output_.append(bytes);
  if (output_.size() > options_->output_cap + kHardOutputCap) {
    give_up("The client does not read what it asks for.");
    return;
  }
  if (std::exchange(flushing_, true)) return;
  asio::co_spawn(executor_, flush_loop(shared_from_this()), asio::detached);
}

// Ends the connection, but not under those who are sending now.
void Connection::give_up(std::string why) {
  broken_ = std::move(why);
  ::shutdown(socket_.native_handle(), SHUT_RDWR);  // wakes the read loop
}

asio::awaitable<void> Connection::flush_loop(std::shared_ptr<Connection> self) {
  while (!self->output_.empty() && !self->broken_ && self->socket_.is_open()) {
    boost::system::error_code error;
    co_await self->socket_.async_wait(asio::ip::tcp::socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
    if (error || !self->socket_.is_open()) break;
    const std::string_view bytes = self->output_.view();
    const ssize_t count = ::send(self->socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) break;  // the read loop sees it too
    if (count > 0) self->output_.consume(static_cast<std::size_t>(count));
    if (self->output_.size() <= self->options_->output_cap / 2) self->output_ready_.notify();
  }
  self->flushing_ = false;
  if (self->end_ && self->socket_.is_open()) ::shutdown(self->socket_.native_handle(), SHUT_WR);
}

Connection::Clock::duration Connection::watch_interval() const {
  if (!authenticated_) return std::max<Clock::duration>(started_ + options_->login_grace - Clock::now(), Clock::duration::zero());
  if (options_->keepalive_interval.count() > 0) return options_->keepalive_interval;
  return kWatchWithoutKeepalive;
}

asio::awaitable<void> Connection::watch_loop(std::shared_ptr<Connection> self) {
  while (!self->end_) {
    boost::system::error_code cancelled;  // by the end, or because authentication is over: another interval
    self->watch_.expires_after(self->watch_interval());
    co_await self->watch_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (!cancelled && !self->end_) self->watch_tick();
  }
  if (self->socket_.is_open()) {
    boost::system::error_code closed;
    self->watch_.expires_after(kLinger);
    co_await self->watch_.async_wait(asio::redirect_error(asio::use_awaitable, closed));
  }
  self->close_socket();
}

void Connection::watch_tick() {
  if (!authenticated_) {
    disconnect(kDisconnectByApplication, "You did not log in within the time that the server gives.");
    return;
  }
  if (rekeying_ && Clock::now() - rekey_started_ > kRekeyLimit) {
    end(Error{ErrorKind::timeout, "The client did not finish a key exchange."});
    return;
  }
  if (std::exchange(heard_, false)) {
    keepalives_unanswered_ = 0;
    return;
  }
  if (options_->keepalive_interval.count() == 0) return;
  if (keepalives_unanswered_ >= options_->keepalive_limit) {
    end(Error{ErrorKind::timeout, "The client does not answer any more."});
    return;
  }
  ++keepalives_unanswered_;
  send(WireWriter(kMsgGlobalRequest).string("keepalive@openssh.com").boolean(true).bytes());
}

void Connection::violation(std::string_view text) {
  if (end_) return;
  const std::string reason = "Protocol error: " + std::string(text);
  constexpr std::uint32_t kProtocolError = 2;
  send(WireWriter(kMsgDisconnect).u32(kProtocolError).string(reason).string("").bytes());
  end(Error{ErrorKind::protocol, reason});
}

void Connection::disconnect(std::uint32_t reason_code, std::string_view text) {
  if (end_) return;
  send(WireWriter(kMsgDisconnect).u32(reason_code).string(text).string("").bytes());
  end(Error{ErrorKind::closed, std::string(text)});
}

void Connection::on_disconnect(std::string_view payload) {
  WireReader in(payload);
  in.u32();
  const std::string text = printable(in.string());
  client_disconnected_ = true;
  end(Error{ErrorKind::closed, text.empty() ? "The client disconnected." : "The client disconnected: " + text});
  close_socket();
}

void Connection::end(Error reason) {
  if (end_) return;
  end_ = std::move(reason);
  for (const std::shared_ptr<ChannelImpl>& channel : std::exchange(channels_, {}))
    if (channel) channel->on_end(*end_, client_disconnected_);
  for (Signal* signal : {&handshake_done_, &auth_requested_, &channel_opened_, &global_requested_, &output_ready_}) signal->notify();
  watch_.cancel();
  if (!flushing_ && socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_WR);
}

void Connection::close_socket() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  watch_.cancel();
}

}  // namespace berth::ssh
