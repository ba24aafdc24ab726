#include "tunnels/link.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

// One for each lane's thread: a message is handled before anything waits, and idle links need no buffer of their own.
thread_local std::array<char, wire::kMaxMessage + 1> read_buffer;

Error broken(std::string message) { return {ErrorKind::protocol, std::move(message)}; }

bool is_pipe(int fd, int access_mode) {
  struct stat status{};
  int flags = ::fcntl(fd, F_GETFL);
  return ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && flags >= 0 && (flags & O_ACCMODE) == access_mode;
}

bool is_pty_master(int fd) {
  struct stat status{};
  unsigned number = 0;
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && major(status.st_rdev) == 5 && minor(status.st_rdev) == 2 &&
         ::ioctl(fd, TIOCGPTN, &number) == 0;
}

int socket_option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool is_stream(int fd) {
  int domain = socket_option(fd, SO_DOMAIN);
  return socket_option(fd, SO_TYPE) == SOCK_STREAM && socket_option(fd, SO_ACCEPTCONN) == 0 &&
         (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX);
}

bool right_kinds(const std::vector<FileDescriptor>& descriptors, Expected expected) {
  switch (expected) {
    case Expected::nothing: return descriptors.empty();
    case Expected::terminal: return descriptors.size() == 1 && is_pty_master(descriptors[0].get());
    case Expected::socket: return descriptors.size() == 1 && is_stream(descriptors[0].get());
    case Expected::pipes:
      return descriptors.size() == 3 && is_pipe(descriptors[0].get(), O_WRONLY) && is_pipe(descriptors[1].get(), O_RDONLY) &&
             is_pipe(descriptors[2].get(), O_RDONLY);
  }
  return false;
}

// The kinds of errors that an agent may name; another name is taken as internal.
ErrorKind kind_of(std::string_view name) {
  for (auto kind : {ErrorKind::invalid, ErrorKind::denied, ErrorKind::not_found, ErrorKind::conflict, ErrorKind::too_large,
                    ErrorKind::timeout, ErrorKind::unavailable, ErrorKind::closed})
    if (name == name_of(kind)) return kind;
  return ErrorKind::internal;
}

// The agent's words may reach a user's terminal: no control characters but the line's end, and not without bound.
std::string clean(std::string text) {
  if (text.size() > 8192) text.resize(8192);
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F) c = '?';
  return text;
}

std::string string_of(const nlohmann::json& message, const char* key) {
  auto found = message.find(key);
  return found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<void> check_descriptors(const std::vector<FileDescriptor>& descriptors, Expected expected) {
  if (!right_kinds(descriptors, expected)) return broken("the agent sent descriptors of the wrong kind");
  for (const auto& descriptor : descriptors) {
    int flags = ::fcntl(descriptor.get(), F_GETFL);
    if (flags < 0 || ::fcntl(descriptor.get(), F_SETFL, flags | O_NONBLOCK) < 0) return broken("the agent sent a descriptor that blocks");
  }
  return {};
}

const Link::Kind Link::kKinds[] = {{"done", &Link::take_done},
                                   {"error", &Link::take_error},
                                   {"exit", &Link::take_exit},
                                   {"accepted", &Link::take_accepted},
                                   {"closed", &Link::take_closed}};

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
    if (!taken) self->fail(taken.error());
  }
}

Result<void> Link::take(wire::Received& received) {
  if (!wire::shallow(received.text)) return broken("the agent sent a message that nests too deeply");
  Json message = Json::parse(received.text, nullptr, false);
  if (!message.is_object()) return broken("the agent sent no JSON object");
  auto type = message.find("type"), op = message.find("op");
  if (type == message.end() || !type->is_string() || op == message.end() || !op->is_number_unsigned())
    return broken("the agent sent a message without type or operation");
  auto entry = operations_.find(op->get<std::uint64_t>());
  if (entry == operations_.end()) return broken("the agent named an operation that does not exist");
  for (const auto& kind : kKinds)
    if (kind.type == type->get_ref<const std::string&>()) return (this->*kind.take)(entry, message, received);
  return broken("the agent sent a message of an unknown type");
}

Result<void> Link::take_done(Entry entry, Json& message, wire::Received& received) {
  auto operation = entry->second;
  if (operation->answered) return broken("the agent answered twice");
  if (received.descriptors_lost) {
    // Too many were sent, or we are out of descriptors ourselves: this operation fails, the link goes on.
    operation->refused = Error{ErrorKind::unavailable, "a descriptor was lost: too many are open"};
  } else if (auto checked = check_descriptors(received.descriptors, operation->expected); !checked) {
    return checked;  // still unanswered: whoever waits is told that the link went away
  } else {
    operation->fields = std::move(message);
    if (!operation->abandoned) operation->descriptors = std::move(received.descriptors);
  }
  operation->answered = true;
  if (operation->abandoned && operation->follows == Follows::connections) tell({{"type", "close"}, {"op", entry->first}});
  if (operation->follows == Follows::nothing) operations_.erase(entry);
  operation->changed.cancel();
  return {};
}

Result<void> Link::take_error(Entry entry, Json& message, wire::Received& received) {
  auto operation = entry->second;
  if (operation->answered || !received.descriptors.empty()) return broken("the agent answered twice");
  operation->answered = operation->ended = true;
  std::string text = clean(string_of(message, "message"));
  operation->refused = Error{kind_of(string_of(message, "kind")), text.empty() ? "the workspace's agent refused" : text};
  operations_.erase(entry);
  operation->changed.cancel();
  return {};
}

Result<void> Link::take_exit(Entry entry, Json& message, wire::Received& received) {
  auto operation = entry->second;
  auto code = message.find("code");
  if (operation->follows != Follows::exit || !operation->answered || !received.descriptors.empty()) return broken("the agent told an exit out of turn");
  operation->exit.signal = string_of(message, "signal").substr(0, 16);
  bool exited = code != message.end() && code->is_number_unsigned() && *code <= 255;
  if (!exited && operation->exit.signal.empty()) return broken("the agent told an exit without code or signal");
  for (char c : operation->exit.signal)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '+') return broken("the agent told an exit by no signal");
  if (operation->exit.signal.empty()) operation->exit.code = code->get<int>();
  operation->exit.core_dumped = message.value("core", Json(false)) == true;
  operation->ended = true;
  operations_.erase(entry);
  operation->changed.cancel();
  return {};
}

Result<void> Link::take_accepted(Entry entry, Json& message, wire::Received& received) {
  auto operation = entry->second;
  if (operation->follows != Follows::connections || !operation->answered) return broken("the agent accepted out of turn");
  if (operation->accepted.size() >= kMaxAccepted) return broken("the agent accepted more than it may");
  if (operation->abandoned || received.descriptors_lost) return {};
  if (auto checked = check_descriptors(received.descriptors, Expected::socket); !checked) return checked;
  Listener::Accepted accepted{std::move(received.descriptors[0]), clean(string_of(message, "host").substr(0, 64)), 0};
  if (auto port = message.find("port"); port != message.end() && port->is_number_unsigned() && *port <= 65535)
    accepted.peer_port = port->get<std::uint16_t>();
  operation->accepted.push_back(std::move(accepted));
  operation->changed.cancel();
  return {};
}

Result<void> Link::take_closed(Entry entry, Json&, wire::Received& received) {
  auto operation = entry->second;
  if (operation->follows != Follows::connections || !operation->answered || !received.descriptors.empty()) return broken("the agent closed out of turn");
  operation->ended = true;
  operations_.erase(entry);
  operation->changed.cancel();
  return {};
}

asio::awaitable<Result<Link::Asked>> Link::ask(Json request, Expected expected, Follows follows, std::chrono::milliseconds limit) {
  if (!alive()) co_return Error{ErrorKind::closed, "the workspace went away"};
  if (operations_.size() >= kMaxOperations) co_return Error{ErrorKind::unavailable, "too much is open in this workspace"};
  auto self = shared_from_this();
  Asked asked{++last_op_, std::make_shared<Operation>(socket_.get_executor(), expected, follows)};
  request["op"] = asked.op;
  auto& operation = *asked.operation;
  operations_.emplace(asked.op, asked.operation);
  if (auto sent = send(request.dump()); !sent) {
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

void Link::tell(Json message) {
  if (alive()) (void)send(message.dump());
}

Result<void> Link::send(std::string text) {
  if (text.size() > wire::kMaxMessage) return Error{ErrorKind::too_large, "the command and its environment are over 64 KiB"};
  if (outgoing_.empty()) {
    auto sent = wire::send(socket_.native_handle(), text);
    if (sent.status == wire::Status::ok) return {};
    if (sent.status != wire::Status::again) {
      fail({ErrorKind::closed, "the agent went away"});
      return Error{ErrorKind::closed, "the workspace went away"};
    }
  }
  if (outgoing_bytes_ + text.size() > kMaxQueued) {
    fail(broken("the agent does not read"));
    return Error{ErrorKind::closed, "the workspace does not answer"};
  }
  outgoing_bytes_ += text.size();
  outgoing_.push_back(std::move(text));
  if (outgoing_.size() == 1) asio::co_spawn(socket_.get_executor(), write_messages(shared_from_this()), asio::detached);
  return {};
}

asio::awaitable<void> Link::write_messages(std::shared_ptr<Link> self) {
  while (self->alive() && !self->outgoing_.empty()) {
    boost::system::error_code failure;
    co_await self->socket_.async_wait(stream_descriptor::wait_write, asio::redirect_error(asio::use_awaitable, failure));
    if (failure || !self->alive()) co_return;
    auto sent = wire::send(self->socket_.native_handle(), self->outgoing_.front());
    if (sent.status == wire::Status::again) continue;
    if (sent.status != wire::Status::ok) co_return self->fail({ErrorKind::closed, "the agent went away"});
    self->outgoing_bytes_ -= self->outgoing_.front().size();
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
  boost::system::error_code ignored;
  socket_.close(ignored);
  outgoing_.clear();
  for (auto& [op, operation] : std::exchange(operations_, {})) {
    operation->lost = operation->ended = true;
    operation->changed.cancel();
  }
}

}  // namespace berth::tunnels
