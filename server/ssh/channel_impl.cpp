#include "server/ssh/channel_impl.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/assert.hpp"
#include "server/ssh/connection.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace asio = boost::asio;

namespace {
constexpr std::uint32_t kExtendedDataStderr = 1;
constexpr std::size_t kMaxQueuedRequests = 256;
constexpr std::size_t kMaxQueuedRequestBytes = 1024 * 1024;  // of a connection; one command may be long
constexpr std::uint32_t kRefillStep = 256 * 1024;
constexpr std::uint32_t kLargestWindow = 16 * 1024 * 1024;
constexpr std::chrono::milliseconds kShortWay{5};  // there a larger window only costs the client processor time
constexpr double kWorthwhile = 1.25;
}  // namespace

class ChannelImpl::Writing {
 public:
  explicit Writing(ChannelImpl& channel) : channel_(channel) { ++channel_.writers_; }
  ~Writing() {
    if (--channel_.writers_ == 0 && channel_.close_wanted_) channel_.send_close();
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

 private:
  ChannelImpl& channel_;
};

ChannelImpl::ChannelImpl(Connection& connection, std::uint32_t id, ChannelOpen opening, std::optional<Remote> remote,
                         std::uint32_t window)
    : connection_(&connection),
      budget_(connection.budget()),
      id_(id),
      opening_(std::move(opening)),
      remote_(remote),
      state_(remote ? State::asked_by_peer : State::asked_by_us),
      window_max_(window),
      window_left_(window),
      readable_(connection.executor()),
      writable_(connection.executor()),
      requested_(connection.executor()) {
  ++budget_->channels;
  budget_->add_window(window_max_);
}

ChannelImpl::~ChannelImpl() {
  --budget_->channels;
  budget_->give_back_window(window_max_);
  for (const QueuedRequest& queued : requests_) budget_->requests -= queued.size;
}

void ChannelImpl::confirm() {
  if (!connection_ || state_ != State::asked_by_peer) return;
  state_ = State::open;
  connection_->send(
      WireWriter(kMsgChannelOpenConfirmation).u32(remote_->id).u32(id_).u32(window_max_).u32(kMaxPacket).bytes());
  refill_window(0);  // of what a peer that has guessed the number sent before
}

void ChannelImpl::refuse(OpenFailure reason, std::string_view text) {
  if (!connection_ || state_ != State::asked_by_peer) return;
  state_ = State::refused;
  connection_->send(WireWriter(kMsgChannelOpenFailure)
                        .u32(remote_->id)
                        .u32(static_cast<std::uint32_t>(reason))
                        .string(text)
                        .string("")
                        .bytes());
  on_refusal(Error{ErrorKind::closed, "The channel was refused."});
}

asio::awaitable<Result<ChannelRequest>> ChannelImpl::next_request() {
  while (requests_.empty()) {
    if (close_received_ || end_) co_return closed_error();
    co_await requested_.wait();
  }
  QueuedRequest next = std::move(requests_.front());
  requests_.erase(requests_.begin());
  budget_->requests -= next.size;
  reply_due_ = next.want_reply;
  co_return std::move(next.request);
}

void ChannelImpl::reply(bool success) {
  const bool wanted = std::exchange(reply_due_, std::nullopt).value_or(false);
  if (!wanted || !connection_ || state_ != State::open || close_sent_) return;  // a peer that has guessed the number of a channel not confirmed yet
  connection_->send(WireWriter(success ? kMsgChannelSuccess : kMsgChannelFailure).u32(remote_->id).bytes());
}

asio::awaitable<Result<std::size_t>> ChannelImpl::read(asio::mutable_buffer into) {
  BERTH_ASSERT(into.size() > 0);
  const Result<std::string_view> come = co_await peek();
  if (!come) co_return come.error();
  const std::size_t count = std::min(into.size(), come->size());
  if (count > 0) std::memcpy(into.data(), come->data(), count);
  consume(count);
  co_return count;
}

asio::awaitable<Result<std::string_view>> ChannelImpl::peek() {
  while (input_.empty()) {
    if (eof_received_ || close_received_) co_return std::string_view();
    if (end_) co_return closed_error();
    co_await readable_.wait();
  }
  co_return input_.view();
}

void ChannelImpl::consume(std::size_t count) {
  BERTH_ASSERT(count <= input_.size());
  if (count == 0) return;
  input_.consume(count);
  refill_window(count);
}

void ChannelImpl::refill_window(std::size_t taken) {
  taken_ += static_cast<std::uint32_t>(taken);
  if (!connection_ || state_ != State::open || eof_received_ || close_received_ || close_sent_) return;
  if (taken_ < std::min(window_max_ / 4, kRefillStep)) return;
  if (!grant_) grant_ = Grant{bytes_received_ + window_left_, bytes_received_, std::chrono::steady_clock::now()};
  const std::uint32_t bytes = std::exchange(taken_, 0) + window_growth();
  window_left_ += bytes;
  connection_->send(WireWriter(kMsgChannelWindowAdjust).u32(remote_->id).u32(bytes).bytes());
}

// The time from a grant until the peer uses it is a round trip when the window is what holds the peer back. A larger one
// is worth trying on long ways, and again only as long as it made the peer faster. (The kernel's round-trip time would not
// do: it ends at the next proxy.)
void ChannelImpl::watch_grant(std::size_t received) {
  bytes_received_ += received;
  if (!grant_ || bytes_received_ <= grant_->limit) return;
  const Grant used = *std::exchange(grant_, std::nullopt);
  const auto way = std::chrono::steady_clock::now() - used.time;
  if (way < kShortWay) return;
  const double rate = static_cast<double>(bytes_received_ - used.received) / std::chrono::duration<double>(way).count();
  if (rate < best_rate_ * kWorthwhile) return;
  best_rate_ = rate;
  may_grow_ = true;
}

std::uint32_t ChannelImpl::window_growth() {
  // Bytes that the application leaves lying are not the network's fault.
  if (!std::exchange(may_grow_, false) || window_max_ >= kLargestWindow || input_.size() > window_max_ / 4) return 0;
  const std::uint32_t growth = connection_->window_grant(std::min(window_max_, kLargestWindow - window_max_));
  window_max_ += growth;
  budget_->add_window(growth);
  return growth;
}

asio::awaitable<Result<void>> ChannelImpl::write(asio::const_buffer data, bool as_stderr) {
  const Writing writing(*this);
  std::string_view rest(static_cast<const char*>(data.data()), data.size());
  while (!rest.empty()) {
    if (!writable() || eof_sent_) co_return closed_error();
    if (remote_->window == 0) {
      co_await writable_.wait();
    } else if (connection_->output_full()) {
      co_await connection_->output_ready().wait();
    } else {
      const std::size_t size = std::min<std::size_t>({rest.size(), remote_->window, remote_->max_packet, kMaxPacket});
      WireWriter head(as_stderr ? kMsgChannelExtendedData : kMsgChannelData);
      head.u32(remote_->id);
      if (as_stderr) head.u32(kExtendedDataStderr);
      head.u32(static_cast<std::uint32_t>(size));
      remote_->window -= static_cast<std::uint32_t>(size);
      bytes_out_ += size;
      connection_->count_out(size);
      const bool more = rest.size() > size && remote_->window > 0;
      connection_->send(head.bytes(), rest.substr(0, size), more);
      rest.remove_prefix(size);
    }
  }
  co_return boost::system::in_place_value;
}

void ChannelImpl::send_eof() {
  if (!writable() || eof_sent_) return;
  eof_sent_ = true;
  connection_->send(WireWriter(kMsgChannelEof).u32(remote_->id).bytes());
}

void ChannelImpl::send_eow() {
  if (!writable() || eow_sent_ || eof_received_ || !connection_->client_version().starts_with("SSH-2.0-OpenSSH")) return;
  eow_sent_ = true;
  connection_->send(WireWriter(kMsgChannelRequest).u32(remote_->id).string("eow@openssh.com").boolean(false).bytes());
}

void ChannelImpl::send_exit_status(std::uint32_t code) {
  if (!may_tell_exit()) return;
  connection_->send(
      WireWriter(kMsgChannelRequest).u32(remote_->id).string("exit-status").boolean(false).u32(code).bytes());
}

void ChannelImpl::send_exit_signal(std::string_view name, bool core_dumped, std::string_view message) {
  if (!may_tell_exit()) return;
  connection_->send(WireWriter(kMsgChannelRequest)
                        .u32(remote_->id)
                        .string("exit-signal")
                        .boolean(false)
                        .string(name)
                        .boolean(core_dumped)
                        .string(message)
                        .string("")
                        .bytes());
}

void ChannelImpl::close() {
  close_wanted_ = true;
  if (writers_ == 0) send_close();
}

asio::awaitable<void> ChannelImpl::gone() {
  while (connection_ && !close_sent_) co_await requested_.wait();
}

void ChannelImpl::cut_off() {
  close_wanted_ = true;
  if (!end_) end_ = Error{ErrorKind::closed, "The server ended the channel."};
  send_close();
  readable_.notify();
  writable_.notify();
  requested_.notify();
}

void ChannelImpl::abandon() {
  if (state_ == State::asked_by_peer) refuse(OpenFailure::prohibited, "The server does not want this channel.");
  close();
}

void ChannelImpl::send_close() {
  if (!connection_ || state_ != State::open || close_sent_) return;
  close_sent_ = true;
  connection_->send(WireWriter(kMsgChannelClose).u32(remote_->id).bytes());
  writable_.notify();
  requested_.notify();
  connection_->output_ready().notify();
  finish_if_closed();
}

void ChannelImpl::finish_if_closed() {
  if (close_sent_ && close_received_) leave_connection();
}

// What the peer sent stays readable; the number is free for another channel.
void ChannelImpl::leave_connection() {
  if (connection_) std::exchange(connection_, nullptr)->forget_channel(id_);
}

Error ChannelImpl::closed_error() const {
  if (end_) return *end_;
  return {ErrorKind::closed, close_received_ ? "The client closed the channel." : "The channel is closed for writing."};
}

asio::awaitable<Result<void>> ChannelImpl::wait_confirmed() {
  while (state_ == State::asked_by_us && !end_) co_await writable_.wait();
  if (end_) co_return *end_;
  co_return boost::system::in_place_value;
}

ChannelImpl::Violation ChannelImpl::on_confirmation(const Remote& remote) {
  if (state_ != State::asked_by_us) return "a confirmation of a channel that was not being opened";
  if (remote.max_packet == 0) return "a channel with a maximum packet size of 0";
  remote_ = remote;
  state_ = State::open;
  writable_.notify();
  if (close_wanted_) send_close();
  return std::nullopt;
}

void ChannelImpl::on_refusal(Error error) {
  state_ = State::refused;
  end_ = std::move(error);
  writable_.notify();
  readable_.notify();
  requested_.notify();
  leave_connection();
}

ChannelImpl::Violation ChannelImpl::on_data(std::string_view data, bool extended) {
  if (eof_received_) return "channel data after the end of the data";
  if (data.size() > kMaxPacket) return "more channel data in a packet than agreed";
  if (data.size() > window_left_) return "more channel data than the window allows";
  window_left_ -= static_cast<std::uint32_t>(data.size());
  watch_grant(data.size());
  if (close_sent_) return std::nullopt;  // sent before the client saw our CHANNEL_CLOSE
  if (extended) {                        // no meaning from a client: taken and dropped, as OpenSSH's sshd does
    refill_window(data.size());
    return std::nullopt;
  }
  bytes_in_ += data.size();
  connection_->count_in(data.size());
  if (taker_ && input_.empty() && !data.empty()) {
    const std::size_t taken = taker_(data);
    BERTH_ASSERT(taken <= data.size());
    data.remove_prefix(taken);
    refill_window(taken);
    if (data.empty()) return std::nullopt;
  }
  input_.append(data);
  readable_.notify();
  return std::nullopt;
}

ChannelImpl::Violation ChannelImpl::on_window_adjust(std::uint32_t bytes) {
  if (!remote_) return "a window for a channel that is not open";
  if (bytes > std::numeric_limits<std::uint32_t>::max() - remote_->window) return "a channel window over 4 GiB";
  remote_->window += bytes;
  writable_.notify();
  return std::nullopt;
}

void ChannelImpl::on_eof() {
  eof_received_ = true;
  readable_.notify();
}

void ChannelImpl::on_close() {
  close_received_ = true;
  if (!close_held_) send_close();
  readable_.notify();
  writable_.notify();
  if (connection_) connection_->output_ready().notify();
  requested_.notify();
  finish_if_closed();
}

ChannelImpl::Violation ChannelImpl::on_request(ChannelRequest request, bool want_reply, std::size_t size) {
  if (close_sent_) return std::nullopt;
  // Only the last size matters: someone drags a window's edge while the workspace is still starting.
  if (!requests_.empty() && !requests_.back().want_reply && !want_reply &&
      std::holds_alternative<WindowChange>(request) && std::holds_alternative<WindowChange>(requests_.back().request)) {
    requests_.back().request = std::move(request);
    return std::nullopt;
  }
  if (requests_.size() == kMaxQueuedRequests || budget_->requests + size > kMaxQueuedRequestBytes) return "too many channel requests at once";
  budget_->requests += size;
  requests_.push_back({std::move(request), want_reply, size});
  requested_.notify();
  return std::nullopt;
}

void ChannelImpl::on_end(const Error& reason, bool client_disconnected) {
  connection_ = nullptr;
  client_disconnected_ = client_disconnected;
  if (!end_) end_ = reason;
  readable_.notify();
  writable_.notify();
  requested_.notify();
}

}  // namespace berth::ssh
