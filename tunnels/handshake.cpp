#include "tunnels/handshake.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/deadline.hpp"
#include "tunnels/wire.hpp"

namespace berth::tunnels {
namespace asio = boost::asio;
using asio::posix::stream_descriptor;

Result<PeerCredentials> peer_of(const WorkspaceSocket& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return errno_error("who dialled", errno);
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

AgentListener::AgentListener(stream_descriptor socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}

AgentListener::~AgentListener() { close(); }

void AgentListener::close() {
  if (!socket_.is_open()) return;
  ::unlink(path_.c_str());
  give_up();
}

void AgentListener::give_up() {
  if (!socket_.is_open()) return;
  close_elsewhere(FileDescriptor(socket_.release()));  // connections that wait in it may hold descriptors
}

Result<AgentListener> AgentListener::open(asio::any_io_executor executor, std::string path, mode_t mode) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return Error{ErrorKind::invalid, path + ": too long for a Unix socket"};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error(path, errno);
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return Error{ErrorKind::conflict, path + ": exists and is no socket"};
    ::unlink(path.c_str());
  }
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return errno_error(path, errno);
  // Nobody can connect between bind and listen, so the mode is in force before the first connection.
  if (::chmod(path.c_str(), mode) < 0 || ::listen(socket.get(), 64) < 0) {
    int why = errno;
    ::unlink(path.c_str());
    return errno_error(path, why);
  }
  stream_descriptor descriptor(executor, socket.release());
  return AgentListener(std::move(descriptor), std::move(path));
}

asio::awaitable<Result<WorkspaceSocket>> AgentListener::accept() {
  while (socket_.is_open()) {
    int fd = ::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) co_return WorkspaceSocket(FileDescriptor(fd));
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      Error error = errno_error("accepting an agent", errno);
      error.kind = ErrorKind::unavailable;
      co_return error;
    }
    boost::system::error_code failure;
    co_await socket_.async_wait(stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, failure));
    if (failure && socket_.is_open()) throw boost::system::system_error(failure);  // the caller was cancelled
  }
  co_return Error{ErrorKind::closed, "the listener is closed"};
}

namespace {

Result<Hello> parse_hello(std::string_view text) {
  const Error refused{ErrorKind::protocol, "the agent did not say hello"};
  if (!wire::shallow(text)) return refused;
  auto message = nlohmann::json::parse(text, nullptr, false);
  if (!message.is_object()) return refused;
  auto type = message.find("type"), protocol = message.find("protocol");
  if (type == message.end() || *type != "hello" || protocol == message.end() || !protocol->is_number_integer()) return refused;
  Hello hello;
  if (*protocol != wire::kProtocol)
    return Error{ErrorKind::conflict, "this workspace runs " + std::string(*protocol < wire::kProtocol ? "an older" : "a newer") + " agent than this gateway works with: stop and start it"};
  hello.protocol = wire::kProtocol;
  auto text_of = [&](const char* key) {
    auto found = message.find(key);
    return found != message.end() && found->is_string() ? found->get<std::string>().substr(0, 64) : std::string();
  };
  hello.version = text_of("version");
  hello.instance = text_of("instance");
  if (auto pid = message.find("pid"); pid != message.end() && pid->is_number_integer()) hello.pid = pid->get<std::int64_t>();
  return hello;
}

// A dup for Asio, so that cancelling the wait leaves the caller's socket as it was.
asio::awaitable<Result<Hello>> wait_hello(int socket) {
  auto executor = co_await asio::this_coro::executor;
  int copy = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) co_return errno_error("waiting for an agent's hello", errno);
  stream_descriptor readiness(executor, copy);
  std::array<char, 4096> buffer;
  for (;;) {
    auto received = wire::receive(socket, buffer);
    const bool with_descriptors = !received.descriptors.empty() || received.descriptors_lost;
    for (auto& descriptor : received.descriptors) close_elsewhere(std::move(descriptor));
    if (received.status == wire::Status::ok) {
      if (with_descriptors)
        co_return Error{ErrorKind::protocol, "the agent sent descriptors with its hello"};
      co_return parse_hello(received.text);
    }
    if (received.status == wire::Status::closed) co_return Error{ErrorKind::closed, "the agent hung up before its hello"};
    if (received.status != wire::Status::again) co_return Error{ErrorKind::protocol, "the agent did not say hello"};
    co_await readiness.async_wait(stream_descriptor::wait_read, asio::use_awaitable);
  }
}

}  // namespace

asio::awaitable<Result<Hello>> read_hello(WorkspaceSocket& socket) {
  co_return co_await with_deadline(wait_hello(socket.get()), kHelloLimit, "the agent");
}

Result<void> send_welcome(const WorkspaceSocket& socket, unsigned lanes, unsigned lane) {
  nlohmann::json welcome{{"type", "welcome"}, {"protocol", wire::kProtocol}, {"lanes", lanes}, {"lane", lane}};
  auto sent = wire::send(socket.get(), welcome.dump());
  if (sent.status == wire::Status::ok) return {};
  return errno_error("welcoming an agent", sent.errno_value);
}

}  // namespace berth::tunnels
