#include "tunnels/link.hpp"

#include <fcntl.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace berth::tunnels {
namespace asio = boost::asio;
using asio::posix::stream_descriptor;

namespace {

constexpr std::chrono::milliseconds kCrowded{20};  // until it is tried again, while the kernel carries no more descriptors

// One for each lane's thread: a message is handled before anything waits, and idle links need no buffer of their own.
thread_local std::array<char, wire::kMaxMessage + 1> read_buffer;

}  // namespace

Link::Link(asio::any_io_executor executor, FileDescriptor socket, std::function<void()> on_closed)
    : socket_(executor), on_closed_(std::move(on_closed)) {
  int flags = ::fcntl(socket.get(), F_GETFL);
  ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
  socket_.assign(socket.release());
}

void Link::start() { asio::co_spawn(socket_.get_executor(), read_messages(shared_from_this()), asio::detached); }

asio::awaitable<void> Link::read_messages(std::shared_ptr<Link> self) {
  for (int budget = 32; self->alive(); --budget) {
    if (budget == 0) {  // let the lane's other connections have their turn
      co_await asio::post(self->socket_.get_executor(), asio::use_awaitable);
      budget = 32;
      if (!self->alive()) break;
    }
    auto received = wire::receive(self->socket_.native_handle(), read_buffer);
    if (received.status == wire::Status::again) {
      boost::system::error_code failure;
      co_await self->socket_.async_wait(stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, failure));
      if (failure) break;
      continue;
    }
    Result<void> taken = Error{ErrorKind::closed, "the agent went away"};
    if (received.status == wire::Status::truncated) taken = broken("the agent sent a message over 64 KiB");
    if (received.status == wire::Status::ok) taken = self->take(received);
    for (auto& descriptor : received.descriptors) close_elsewhere(std::move(descriptor));
    if (!taken) self->fail(taken.error());
  }
}

asio::awaitable<Result<Link::Asked>> Link::ask(Json request, Expected expected, Follows follows, std::chrono::milliseconds limit,
                                               std::vector<FileDescriptor> descriptors) {
  if (!alive()) co_return Error{ErrorKind::closed, "the workspace went away"};
  if (operations_.size() >= kMaxOperations) co_return Error{ErrorKind::unavailable, "too much is open in this workspace"};
  auto self = shared_from_this();
  const auto turn_until = std::chrono::steady_clock::now() + limit;
  while (unanswered_descriptors_ + descriptors.size() > kMaxUnansweredDescriptors) {
    bool answered = false;
    if (waiting_.size() < kMaxWaiting) answered = co_await next_answer(turn_until);
    if (!alive()) co_return Error{ErrorKind::closed, "the workspace went away"};
    if (!answered) co_return Error{ErrorKind::unavailable, "the workspace's agent is behind with its work"};
  }
  Asked asked{++last_op_, std::make_shared<Operation>(socket_.get_executor(), expected, follows)};
  request["op"] = asked.op;
  auto& operation = *asked.operation;
  operations_.emplace(asked.op, asked.operation);
  operation.sent_descriptors = descriptors.size();
  unanswered_descriptors_ += descriptors.size();
  if (auto sent = send({request.dump(), std::move(descriptors)}); !sent) {
    settle_answer(operation);
    operations_.erase(asked.op);
    co_return sent.error();
  }
  // Marks the operation when this coroutine is given up or destroyed before the answer.
  struct Abandon {
    Operation& operation;
    ~Abandon() { operation.abandoned = operation.abandoned || !operation.answered; }
  } abandon{operation};
  // One timer is both the deadline and the bell: an answer cancels it. (with_deadline would start a second coroutine for
  // each request on the path of every exec and connect.)
  operation.changed.expires_after(limit);
  while (!operation.answered) {
    boost::system::error_code failure;
    co_await operation.changed.async_wait(asio::redirect_error(asio::use_awaitable, failure));
    if (operation.answered) break;
    if (operation.lost) co_return Error{ErrorKind::closed, "the workspace went away"};
    if (!failure) co_return Error{ErrorKind::timeout, "the workspace's agent did not answer within " + std::to_string(limit.count()) + " ms"};
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
  }
  operation.changed.expires_at(asio::steady_timer::time_point::max());
  if (operation.refused) co_return *operation.refused;
  co_return asked;
}

asio::awaitable<bool> Link::next_answer(std::chrono::steady_clock::time_point until) {
  struct Waiting {
    explicit Waiting(Link& its_link, std::chrono::steady_clock::time_point end) : link(its_link), bell(its_link.executor(), end) { link.waiting_.push_back(&bell); }
    ~Waiting() { std::erase(link.waiting_, &bell); }
    Waiting(const Waiting&) = delete;
    Link& link;
    asio::steady_timer bell;
  } waiting(*this, until);
  boost::system::error_code rung;
  co_await waiting.bell.async_wait(asio::redirect_error(asio::use_awaitable, rung));
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
  co_return rung == asio::error::operation_aborted;
}

void Link::tell(Json message) {
  if (alive()) (void)send({message.dump(), {}});
}

wire::Sent Link::send_now(int socket, const Outgoing& message) {
  std::vector<int> descriptors;
  for (const auto& descriptor : message.descriptors) descriptors.push_back(descriptor.get());
  return wire::send(socket, message.text, descriptors);
}

Result<void> Link::send(Outgoing message) {
  if (message.text.size() > wire::kMaxMessage) return Error{ErrorKind::too_large, "the command and its environment are over 64 KiB"};
  if (outgoing_.empty()) {
    const auto sent = send_now(socket_.native_handle(), message);
    if (sent.status == wire::Status::ok) return {};
    if (sent.status != wire::Status::again && sent.errno_value != ETOOMANYREFS) {
      fail({ErrorKind::closed, "the agent went away"});
      return Error{ErrorKind::closed, "the workspace went away"};
    }
  }
  if (outgoing_bytes_ + message.text.size() > kMaxQueued) {
    fail(broken("the agent does not read"));
    return Error{ErrorKind::closed, "the workspace does not answer"};
  }
  outgoing_bytes_ += message.text.size();
  outgoing_.push_back(std::move(message));
  if (outgoing_.size() == 1) asio::co_spawn(socket_.get_executor(), write_messages(shared_from_this()), asio::detached);
  return {};
}

asio::awaitable<void> Link::write_messages(std::shared_ptr<Link> self) {
  while (self->alive() && !self->outgoing_.empty()) {
    boost::system::error_code failure;
    co_await self->socket_.async_wait(stream_descriptor::wait_write, asio::redirect_error(asio::use_awaitable, failure));
    if (failure || !self->alive()) co_return;
    const auto sent = send_now(self->socket_.native_handle(), self->outgoing_.front());
    if (sent.status == wire::Status::again) continue;
    if (sent.errno_value == ETOOMANYREFS) {  // of all agents together; nothing tells when some have arrived
      asio::steady_timer pause(self->executor(), kCrowded);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failure));
      continue;
    }
    if (sent.status != wire::Status::ok) co_return self->fail({ErrorKind::closed, "the agent went away"});
    self->outgoing_bytes_ -= self->outgoing_.front().text.size();
    self->outgoing_.pop_front();
  }
}

void Link::fail(const Error& why) {
  if (!alive()) return;
  if (why.kind == ErrorKind::protocol) log_warn("agent.refused", {{"reason", why.message}});
  shut();
  if (on_closed_) asio::post(socket_.get_executor(), std::exchange(on_closed_, nullptr));
}

void Link::close() {
  on_closed_ = nullptr;
  shut();
}

void Link::shut() {
  if (socket_.is_open()) close_elsewhere(FileDescriptor(socket_.release()));
  outgoing_.clear();
  for (auto& [op, operation] : std::exchange(operations_, {})) {
    operation->lost = operation->ended = true;
    operation->changed.cancel();
  }
  for (asio::steady_timer* bell : waiting_) bell->cancel();
}

}  // namespace berth::tunnels
