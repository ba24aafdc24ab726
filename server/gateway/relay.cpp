#include "server/gateway/relay.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <vector>

#include "server/gateway/spawn.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kBuffer = 128 * 1024;       // while bytes flow
constexpr std::size_t kSpareBuffers = 8;          // of a lane
constexpr std::chrono::seconds kLastInput{5};     // for input that is still on its way when the client has gone
constexpr int kTurnsBeforeYield = 16;             // reads in a row before other connections of the lane get their turn

// Where bytes from a workspace wait for their way to the client. Goes back to its thread's few spare ones, which are fetched and faulted in once.
class Buffer {
 public:
  ~Buffer() { give_back(); }
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  char* data() const { return bytes_.get(); }
  explicit operator bool() const { return bytes_ != nullptr; }
  void take() {
    if (spares().empty()) {
      bytes_ = std::make_unique_for_overwrite<char[]>(kBuffer);
    } else {
      bytes_ = std::move(spares().back());
      spares().pop_back();
    }
  }
  void give_back() {
    if (bytes_ && spares().size() < kSpareBuffers) spares().push_back(std::move(bytes_));
    bytes_.reset();
  }

 private:
  using Bytes = std::unique_ptr<char[]>;
  static std::vector<Bytes>& spares() {
    thread_local std::vector<Bytes> kept;
    return kept;
  }
  Bytes bytes_;
};

}  // namespace

Relay::Relay(const asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel, Kind kind)
    : channel_(std::move(channel)),
      kind_(kind),
      input_(executor),
      output_(executor),
      errors_(executor),
      outputs_ended_(executor, asio::steady_timer::time_point::max()),
      input_ended_(executor, asio::steady_timer::time_point::max()) {}

std::shared_ptr<Relay> Relay::of_pipes(const asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel,
                                       FileDescriptor input, FileDescriptor output, FileDescriptor errors) {
  std::shared_ptr<Relay> relay(new Relay(executor, std::move(channel), Kind::pipes));
  relay->input_.assign(input.release());
  relay->output_.assign(output.release());
  relay->errors_.assign(errors.release());
  return relay;
}

std::shared_ptr<Relay> Relay::of_terminal(const asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel,
                                          FileDescriptor input, FileDescriptor output) {
  std::shared_ptr<Relay> relay(new Relay(executor, std::move(channel), Kind::terminal));
  relay->input_.assign(input.release());
  relay->output_.assign(output.release());
  return relay;
}

std::shared_ptr<Relay> Relay::of_socket(const asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel,
                                        tunnels::WorkspaceSocket socket) {
  std::shared_ptr<Relay> relay(new Relay(executor, std::move(channel), Kind::socket));
  relay->output_.assign(socket.release());
  return relay;
}

void Relay::start() {
  const auto executor = output_.get_executor();
  open_outputs_ = kind_ == Kind::pipes ? 2 : 1;
  channel_->take_at_once([this](std::string_view data) { return take(data); });
  spawn_logged(executor, pump_in(shared_from_this()), "relay.in");
  spawn_logged(executor, pump_out(shared_from_this(), output_, false), "relay.out");
  if (kind_ == Kind::pipes) spawn_logged(executor, pump_out(shared_from_this(), errors_, true), "relay.err");
}

void Relay::count() {
  if (!live_) return;
  live_->bytes_in.store(channel_->bytes_in(), std::memory_order_relaxed);
  live_->bytes_out.store(channel_->bytes_out(), std::memory_order_relaxed);
}

asio::awaitable<void> Relay::pump_in(std::shared_ptr<Relay> self) {
  bool target_reads = true;
  for (;;) {
    const Result<std::string_view> got = co_await self->channel_->peek();
    if (!got) {
      self->client_gone_ = true;
      break;
    }
    if (got->empty()) break;
    // Once the target has closed its input, what else the client sends is dropped, so that it does not block on us; the
    // end comes from the target's exit or the client's close.
    std::optional<std::size_t> taken = got->size();
    if (target_reads) taken = self->pass_on(*got);
    if (taken) {
      self->channel_->consume(*taken);
      self->count();
    }
    if (taken == 0) {
      const auto [error] = co_await self->target().async_wait(asio::posix::descriptor_base::wait_write, kTuple);
      if (error) taken.reset();
    }
    if (!taken) {
      target_reads = false;
      if (self->kind_ == Kind::pipes) self->channel_->send_eow();
      if (self->kind_ == Kind::socket) self->end_input();  // a tunnel has no exit that would end it
    }
  }
  self->count();
  self->end_input();
  if (self->client_gone_) self->close();
}

// What the target does not take now, pump_in() passes on; it finds out about a target that takes no more at all, too.
std::size_t Relay::take(std::string_view data) {
  if (!input_open_) return 0;
  const std::size_t taken = pass_on(data).value_or(0);
  count();
  return taken;
}

std::optional<std::size_t> Relay::pass_on(std::string_view data) {
  asio::posix::stream_descriptor& into = target();
  while (into.is_open()) {
    const ssize_t taken = kind_ == Kind::socket ? tunnels::send_some(into.native_handle(), data.data(), data.size())
                                                : ::write(into.native_handle(), data.data(), data.size());
    if (taken >= 0) return static_cast<std::size_t>(taken);
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) break;
  }
  return std::nullopt;
}

void Relay::client_left() {
  client_gone_ = true;
  if (kind_ == Kind::terminal || !input_open_) {
    close();
    return;
  }
  // What the client sent before it left still belongs to the target; a target that does not read gets a few seconds.
  spawn_logged(output_.get_executor(), close_after(shared_from_this(), kLastInput), "relay.last_input");
}

asio::awaitable<void> Relay::close_after(std::shared_ptr<Relay> self, std::chrono::milliseconds limit) {
  if (self->input_open_) {
    self->input_ended_.expires_after(limit);
    co_await self->input_ended_.async_wait(kTuple);
  }
  self->close();
}

void Relay::end_input() {
  if (!input_open_) return;
  input_open_ = false;
  if (kind_ == Kind::pipes) close_descriptor(input_);
  if (kind_ == Kind::socket && output_.is_open()) ::shutdown(output_.native_handle(), SHUT_WR);
  input_ended_.cancel();
}

asio::awaitable<void> Relay::pump_out(std::shared_ptr<Relay> self, asio::posix::stream_descriptor& from, bool as_stderr) {
  Buffer buffer;
  int turns = 0;
  while (from.is_open()) {
    if (!buffer) {
      const auto [error] = co_await from.async_wait(asio::posix::descriptor_base::wait_read, kTuple);
      if (error || !from.is_open()) break;
      buffer.take();
    }
    const ssize_t got = self->kind_ == Kind::socket ? tunnels::receive_some(from.native_handle(), buffer.data(), kBuffer)
                                                    : ::read(from.native_handle(), buffer.data(), kBuffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      buffer.give_back();  // idle again
      turns = 0;
      continue;
    }
    if (got < 0 && self->kind_ == Kind::socket) self->end_input();  // reset: it takes nothing more either
    if (got <= 0) break;
    const Result<void> sent = co_await self->channel_->write(asio::buffer(buffer.data(), static_cast<std::size_t>(got)), as_stderr);
    if (!sent) break;
    self->count();
    if (++turns >= kTurnsBeforeYield) {
      turns = 0;
      co_await asio::post(from.get_executor(), asio::use_awaitable);
    }
  }
  self->output_ended();
}

void Relay::output_ended() {
  if (--open_outputs_ == 0) outputs_ended_.cancel();
}

asio::awaitable<void> Relay::output_done() {
  while (open_outputs_ > 0) co_await outputs_ended_.async_wait(kTuple);
}

asio::awaitable<void> Relay::input_done() {
  while (input_open_) co_await input_ended_.async_wait(kTuple);
}

void Relay::close_descriptor(asio::posix::stream_descriptor& descriptor) {
  if (!descriptor.is_open()) return;
  FileDescriptor released(descriptor.release());
  if (kind_ == Kind::socket) tunnels::close_elsewhere(std::move(released));
}

void Relay::stop_output() {
  if (kind_ == Kind::pipes) close_descriptor(output_);
}

void Relay::close() {
  channel_->take_at_once({});
  for (asio::posix::stream_descriptor* descriptor : {&input_, &output_, &errors_}) close_descriptor(*descriptor);
  count();
  end_input();
}

}  // namespace berth::server
