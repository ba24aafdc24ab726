#include "tunnels/link.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/human.hpp"
#include "base/log.hpp"

namespace berth::tunnels {
namespace asio = boost::asio;
using asio::posix::stream_descriptor;

namespace {

// One for each lane's thread: a message is handled before anything waits, and idle links need no buffer of their own.
thread_local std::array<char, wire::kMaxMessage + 1> read_buffer;

constexpr std::size_t kLongestTitle = 200;

Error broken(std::string message) { return {ErrorKind::protocol, std::move(message)}; }

int socket_option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

// Plain ones only: with another protocol (SCTP, MPTCP) the calls that berthd makes could mean something else.
bool is_stream(int fd) {
  const int domain = socket_option(fd, SO_DOMAIN), protocol = socket_option(fd, SO_PROTOCOL);
  const bool plain = domain == AF_UNIX || ((domain == AF_INET || domain == AF_INET6) && protocol == IPPROTO_TCP);
  return plain && socket_option(fd, SO_TYPE) == SOCK_STREAM && socket_option(fd, SO_ACCEPTCONN) == 0;
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
  const std::size_t wanted = expected == Expected::socket ? 1 : 0;
  if (descriptors.size() != wanted || (wanted != 0 && !is_stream(descriptors[0].get()))) return broken("the agent sent descriptors of the wrong kind");
  return {};
}

const Link::Kind Link::kKinds[] = {{"done", &Link::take_done},
                                   {"error", &Link::take_error},
                                   {"exit", &Link::take_exit},
                                   {"accepted", &Link::take_accepted},
                                   {"closed", &Link::take_closed},
                                   {"detached", &Link::take_detached},
                                   {"title", &Link::take_title},
                                   {"size", &Link::take_size}};

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
    if (!operation->abandoned && !received.descriptors.empty()) operation->socket = std::move(received.descriptors[0]);
  }
  settle_answer(*operation);
  if (operation->abandoned && operation->follows == Follows::connections) tell({{"type", "close"}, {"op", entry->first}});
  if (operation->follows == Follows::nothing) operations_.erase(entry);
  operation->changed.cancel();
  return {};
}

void Link::settle_answer(Operation& operation) {
  operation.answered = true;
  unanswered_descriptors_ -= std::exchange(operation.sent_descriptors, 0);
}

Result<void> Link::take_error(Entry entry, Json& message, wire::Received& received) {
  auto operation = entry->second;
  if (operation->answered || !received.descriptors.empty()) return broken("the agent answered twice");
  settle_answer(*operation);
  operation->ended = true;
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
  Listener::Accepted accepted{WorkspaceSocket(std::move(received.descriptors[0])), clean(string_of(message, "host").substr(0, 64)), 0};
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

Result<void> Link::take_detached(Entry entry, Json& message, wire::Received& received) {
  auto operation = entry->second;
  if (operation->follows != Follows::exit || !operation->answered || !received.descriptors.empty()) return broken("the agent detached out of turn");
  operation->detached = clean(string_of(message, "reason").substr(0, 200));
  operation->ended = true;
  operations_.erase(entry);
  operation->changed.cancel();
  return {};
}

Result<void> Link::take_title(Entry entry, Json& message, wire::Received& received) {
  const auto operation = entry->second;
  const auto title = wire::decode_bytes(string_of(message, "title"));
  if (operation->follows != Follows::exit || !operation->answered || !received.descriptors.empty() || !title) return broken("the agent told a title out of turn");
  if (operation->changes) operation->changes({printable(title->substr(0, kLongestTitle)), std::nullopt});
  return {};
}

Result<void> Link::take_size(Entry entry, Json& message, wire::Received& received) {
  const auto operation = entry->second;
  const auto columns = message.find("columns"), rows = message.find("rows");
  const bool whole = columns != message.end() && rows != message.end() && columns->is_number_unsigned() && rows->is_number_unsigned() &&
                     *columns <= 65535 && *rows <= 65535;
  if (operation->follows != Follows::exit || !operation->answered || !received.descriptors.empty() || !whole) return broken("the agent told a size out of turn");
  if (operation->changes) operation->changes({std::nullopt, TerminalSize{columns->get<std::uint32_t>(), rows->get<std::uint32_t>()}});
  return {};
}

asio::awaitable<Result<Link::Asked>> Link::ask(Json request, Expected expected, Follows follows, std::chrono::milliseconds limit,
                                               std::vector<FileDescriptor> descriptors) {
  if (!alive()) co_return Error{ErrorKind::closed, "the workspace went away"};
  if (operations_.size() >= kMaxOperations) co_return Error{ErrorKind::unavailable, "too much is open in this workspace"};
  if (unanswered_descriptors_ + descriptors.size() > kMaxUnansweredDescriptors)
    co_return Error{ErrorKind::unavailable, "the workspace's agent is behind with its work"};
  auto self = shared_from_this();
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
    if (sent.errno_value == ETOOMANYREFS) return Error{ErrorKind::unavailable, "too many descriptors are on their way; try again"};
    if (sent.status != wire::Status::again) {
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
    // With too many descriptors on their way this one operation gets no answer.
    if (sent.status != wire::Status::ok && sent.errno_value != ETOOMANYREFS) co_return self->fail({ErrorKind::closed, "the agent went away"});
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
}

}  // namespace berth::tunnels
