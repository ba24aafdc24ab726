// What the agent says on a link, word by word: each is checked against what may come now. A breach is an Error{protocol}, which closes the link.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cctype>

#include "base/human.hpp"
#include "tunnels/link.hpp"

namespace berth::tunnels {
namespace {

constexpr std::size_t kLongestTitle = 200;

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
  if (operation.sent_descriptors == 0) return;
  unanswered_descriptors_ -= std::exchange(operation.sent_descriptors, 0);
  for (boost::asio::steady_timer* bell : waiting_) bell->cancel();
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

}  // namespace berth::tunnels
