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
constexpr std::size_t kSmallBuffer = 2 * 1024;   // while a client types
constexpr std::size_t kLargeBuffer = 128 * 1024;  // while bytes flow
constexpr std::chrono::seconds kLastInput{5};     // for input that is still on its way when the client has gone
constexpr int kTurnsBeforeYield = 16;             // reads in a row before other connections of the lane get their turn

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
  std::vector<char> buffer(kSmallBuffer);
  bool target_reads = true;
  for (;;) {
    const Result<std::size_t> got = co_await self->channel_->read(asio::buffer(buffer));
    if (!got) {
      self->client_gone_ = true;
      break;
    }
    self->count();
    if (*got == 0) break;
    // Once the target has closed its input, what else the client sends is dropped, so that it does not block on us; the
    // end comes from the target's exit or the client's close.
    if (target_reads) {
      target_reads = co_await pass_on(self, std::string_view(buffer.data(), *got));
      if (!target_reads && self->kind_ == Kind::pipes) self->channel_->send_eow();
    }
    if (*got == buffer.size() && buffer.size() < kLargeBuffer) buffer.resize(kLargeBuffer);
  }
  self->end_input();
  if (self->client_gone_) self->close();
}

asio::awaitable<bool> Relay::pass_on(std::shared_ptr<Relay> self, std::string_view data) {
  asio::posix::stream_descriptor& into = self->target();
  while (!data.empty() && into.is_open()) {
    const ssize_t taken = self->kind_ == Kind::socket ? tunnels::send_some(into.native_handle(), data.data(), data.size())
                                                      : ::write(into.native_handle(), data.data(), data.size());
    if (taken >= 0) {
      data.remove_prefix(static_cast<std::size_t>(taken));
    } else if (errno == EAGAIN) {
      const auto [error] = co_await into.async_wait(asio::posix::descriptor_base::wait_write, kTuple);
      if (error) co_return false;
    } else if (errno != EINTR) {
      co_return false;
    }
  }
  co_return data.empty();
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
  std::vector<char> buffer;
  int turns = 0;
  while (from.is_open()) {
    if (buffer.empty()) {
      const auto [error] = co_await from.async_wait(asio::posix::descriptor_base::wait_read, kTuple);
      if (error || !from.is_open()) break;
      buffer.resize(kLargeBuffer);
    }
    const ssize_t got = self->kind_ == Kind::socket ? tunnels::receive_some(from.native_handle(), buffer.data(), buffer.size())
                                                    : ::read(from.native_handle(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      std::vector<char>().swap(buffer);  // idle again: give the memory back
      turns = 0;
      continue;
    }
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
  for (asio::posix::stream_descriptor* descriptor : {&input_, &output_, &errors_}) close_descriptor(*descriptor);
  count();
  end_input();
}

}  // namespace berth::server
