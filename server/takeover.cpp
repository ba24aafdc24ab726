#include "server/takeover.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "auth/ids.hpp"
#include "tunnels/wire.hpp"

namespace berth::server {
namespace wire = tunnels::wire;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace {

constexpr milliseconds kAnswerLimit{10'000};
constexpr milliseconds kTakenLimit{60'000};  // it has the sockets no more once it has been told: better late than given up
constexpr std::string_view kPrefix = "berthd-", kSuffix = ".sock";
constexpr std::size_t kIdLength = 11;
constexpr std::size_t kMostSockets = 4096;

struct Message {
  json fields;
  std::vector<FileDescriptor> descriptors;
};

Error no_answer() { return {ErrorKind::timeout, "the berthd that serves did not answer in time"}; }

// The next message of one of the types, or of any.
Result<Message> next_message(int socket, std::initializer_list<std::string_view> types, milliseconds limit) {
  const auto until = steady_clock::now() + limit;
  std::vector<char> buffer(wire::kMaxMessage + 1);
  for (;;) {
    wire::Received received = wire::receive(socket, buffer);
    if (received.status == wire::Status::ok) {
      if (!wire::shallow(received.text)) return Error{ErrorKind::protocol, "the berthd that serves sent no message of ours"};
      Message message{json::parse(received.text, nullptr, false), std::move(received.descriptors)};
      if (!message.fields.is_object()) return Error{ErrorKind::protocol, "the berthd that serves sent no message of ours"};
      const std::string type = text_of(message.fields, "type");
      for (const std::string_view wanted : types) {
        if (type == wanted) return message;
      }
      continue;  // its status, for example
    }
    if (received.status != wire::Status::again) return Error{ErrorKind::closed, "the berthd that serves hung up"};
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (left.count() <= 0) return no_answer();
    pollfd waiting{socket, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return errno_error("waiting for the berthd that serves", errno);
  }
}

Result<void> say(int socket, const json& message) {
  const wire::Sent sent = wire::send(socket, message.dump());
  if (sent.status == wire::Status::ok) return {};
  return errno_error("telling the berthd that serves", sent.errno_value);
}

// Nothing: nobody listens there any more.
Result<FileDescriptor> connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  const std::string name = path.string();
  if (name.size() >= sizeof address.sun_path) return Error{ErrorKind::invalid, name + ": too long for a Unix socket (server.run_dir)"};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error(name, errno);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  if (errno == ECONNREFUSED) ::unlink(name.c_str());
  if (errno == ECONNREFUSED || errno == ENOENT) return FileDescriptor();
  return errno_error(name, errno);
}

Result<std::optional<Found>> meet(const std::filesystem::path& path, const web::Instance& self) {
  Result<FileDescriptor> socket = connect_to(path);
  if (!socket) return socket.error();
  if (!*socket) return std::optional<Found>();
  if (!is_own_user(socket->get())) return Error{ErrorKind::denied, path.string() + " belongs to another user's program"};
  Result<Message> hello = next_message(socket->get(), {"hello"}, kAnswerLimit);
  if (!hello && hello.error().kind == ErrorKind::closed) return std::optional<Found>();  // it ended just now
  if (!hello) return hello.error();
  Found found{std::move(*socket), {}, {}};
  read_message(hello->fields, found.who);
  if (hello->descriptors.size() != 1 || found.who.instance.empty()) return Error{ErrorKind::protocol, path.string() + ": no berthd that this one knows how to replace"};
  found.lock = std::move(hello->descriptors.front());
  if (Result<void> said = say(found.socket.get(), to_message("hello", self)); !said) return said.error();
  return std::optional<Found>(std::move(found));
}

}  // namespace

std::string new_instance_id() { return auth::new_id('b'); }

std::filesystem::path neighbour_socket(const std::filesystem::path& run_dir, const std::string& instance) {
  return run_dir / (std::string(kPrefix) + instance + std::string(kSuffix));
}

bool is_own_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

std::string text_of(const json& message, const char* name) {
  const auto field = message.find(name);
  return field != message.end() && field->is_string() ? field->get<std::string>() : std::string();
}

std::int64_t number_of(const json& message, const char* name, std::int64_t otherwise) {
  const auto field = message.find(name);
  return field != message.end() && field->is_number_integer() ? field->get<std::int64_t>() : otherwise;
}

json to_message(std::string_view type, const web::Instance& one) {
  return {{"type", type},
          {"instance", one.instance},
          {"pid", one.pid},
          {"version", one.version},
          {"started_at", one.started_at.time_since_epoch().count()},
          {"draining", one.draining},
          {"connections", one.connections},
          {"until", one.until.time_since_epoch().count()}};
}

void read_message(const json& message, web::Instance& one) {
  if (one.instance.empty()) one.instance = text_of(message, "instance").substr(0, 64);
  if (one.version.empty()) one.version = text_of(message, "version").substr(0, 64);
  one.pid = number_of(message, "pid", one.pid);
  one.connections = number_of(message, "connections", one.connections);
  one.started_at = Timestamp(std::chrono::microseconds(number_of(message, "started_at", one.started_at.time_since_epoch().count())));
  one.until = Timestamp(std::chrono::microseconds(number_of(message, "until", one.until.time_since_epoch().count())));
  if (const auto draining = message.find("draining"); draining != message.end() && draining->is_boolean()) one.draining = draining->get<bool>();
}

Result<std::vector<Found>> find_neighbours(const std::filesystem::path& run_dir, const web::Instance& self) {
  std::vector<Found> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() != kPrefix.size() + kIdLength + kSuffix.size() || !name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    Result<std::optional<Found>> found = meet(entry.path(), self);
    if (!found) return found.error();
    if (*found) all.push_back(std::move(**found));
  }
  if (error) return Error{ErrorKind::unavailable, "server.run_dir " + run_dir.string() + " cannot be read: " + error.message()};
  return all;
}

Result<Offer> ask_for_sockets(const Found& other) {
  if (Result<void> said = say(other.socket.get(), {{"type", "sockets"}}); !said) return said.error();
  Offer offer;
  while (offer.sockets.size() < kMostSockets) {
    Result<Message> message = next_message(other.socket.get(), {"socket", "end"}, kAnswerLimit);
    if (!message) return message.error();
    for (FileDescriptor& descriptor : message->descriptors) offer.sockets.push_back(std::move(descriptor));
    if (text_of(message->fields, "type") != "end") continue;
    offer.notify_socket = text_of(message->fields, "notify_socket");
    offer.watchdog_us = number_of(message->fields, "watchdog_us");
    return offer;
  }
  return Error{ErrorKind::protocol, "the berthd that serves offers more sockets than it can have"};
}

Result<void> take_over(const Found& other, std::chrono::seconds limit) {
  if (Result<void> said = say(other.socket.get(), {{"type", "taken"}, {"limit_s", limit.count()}}); !said) return said.error();
  Result<Message> answer = next_message(other.socket.get(), {"draining", "refused"}, kTakenLimit);
  if (!answer) return answer.error();
  if (text_of(answer->fields, "type") == "refused") return Error{ErrorKind::conflict, "the berthd that serves is stopping, or was replaced by another one just now"};
  return {};
}

}  // namespace berth::server
