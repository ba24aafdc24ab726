#include "keeper/server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <deque>

#include "base/log.hpp"
#include "workspaces/keeper_protocol.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
using asio::local::stream_protocol;

namespace {
constexpr std::size_t kOutputLimit = 64 << 20;  // bytes waiting for a peer that does not read
constexpr int kBacklog = 64;
}  // namespace

struct Server::Connection {
  explicit Connection(stream_protocol::socket s) : socket(std::move(s)), wake(socket.get_executor()) {
    wake.expires_at(asio::steady_timer::time_point::max());
  }
  void say(const nlohmann::json& message) {
    if (closed) return;
    std::string line = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    waiting += line.size();
    if (waiting > kOutputLimit) return close();
    lines.push_back(std::move(line));
    wake.cancel();
  }
  void close() {
    closed = true;
    boost::system::error_code ignored;
    socket.close(ignored);
    wake.cancel();
  }
  stream_protocol::socket socket;
  asio::steady_timer wake;
  std::deque<std::string> lines;
  std::size_t waiting = 0;
  bool closed = false;
};

Server::Server(asio::any_io_executor executor, FileDescriptor socket, Service& service, uid_t allowed)
    : acceptor_(executor, stream_protocol(), socket.release()), service_(service), allowed_(allowed) {}

void Server::start() { asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached); }

void Server::stop_accepting() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

void Server::close() {
  stop_accepting();
  for (const auto& connection : connections_) connection->close();
}

asio::awaitable<void> Server::accept() {
  asio::steady_timer pause(acceptor_.get_executor());
  while (acceptor_.is_open()) {
    boost::system::error_code error;
    stream_protocol::socket socket(acceptor_.get_executor());
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (!acceptor_.is_open()) co_return;
    if (error) {  // out of descriptors: wait until some are closed
      log_warn("keeper.accept_failed", {{"error", error.message()}});
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || (peer.uid != allowed_ && peer.uid != 0)) {
      log_warn("keeper.peer_refused", {{"uid", peer.uid}, {"pid", peer.pid}});
      continue;
    }
    auto connection = std::make_shared<Connection>(std::move(socket));
    connections_.insert(connection);
    asio::co_spawn(acceptor_.get_executor(), serve(connection), asio::detached);
    asio::co_spawn(acceptor_.get_executor(), write(connection), asio::detached);
  }
}

asio::awaitable<void> Server::serve(std::shared_ptr<Connection> connection) {
  const Say say = [weak = std::weak_ptr(connection)](const nlohmann::json& message) {
    if (const auto alive = weak.lock()) alive->say(message);
  };
  std::string buffer;
  for (;;) {
    boost::system::error_code error;
    auto into = asio::dynamic_buffer(buffer, workspaces::kKeeperLineLimit);
    const std::size_t size = co_await asio::async_read_until(connection->socket, into, '\n', asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      if (error == asio::error::not_found) log_warn("keeper.line_too_long", {});
      break;
    }
    std::string line = buffer.substr(0, size - 1);
    buffer.erase(0, size);
    // Each on its own, so that a stop does not wait behind somebody's start.
    asio::co_spawn(connection->socket.get_executor(), service_.answer_for(connection.get(), std::move(line), say), asio::detached);
  }
  service_.forget(connection.get());
  connection->close();
  connections_.erase(connection);
}

asio::awaitable<void> Server::write(std::shared_ptr<Connection> connection) {
  while (!connection->closed) {
    boost::system::error_code error;
    if (connection->lines.empty()) {
      co_await connection->wake.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const std::string line = std::move(connection->lines.front());
    connection->lines.pop_front();
    connection->waiting -= line.size();
    co_await asio::async_write(connection->socket, asio::buffer(line), asio::redirect_error(asio::use_awaitable, error));
    if (error) connection->close();
  }
}

Result<FileDescriptor> listen_on(const std::string& path, Account account) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return Error{ErrorKind::invalid, path + ": too long for a Unix socket"};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error(path, errno);
  // Another keeper on the same path would answer: two would fight over the same workspaces.
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    return Error{ErrorKind::conflict, path + ": another berth-keeper listens there"};
  }
  socket.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return Error{ErrorKind::conflict, path + ": exists and is no socket"};
    ::unlink(path.c_str());
  }
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return errno_error(path, errno);
  if ((account.uid != ::geteuid() && ::lchown(path.c_str(), account.uid, account.gid) < 0) || ::chmod(path.c_str(), 0600) < 0 ||
      ::listen(socket.get(), kBacklog) < 0) {
    return errno_error(path, errno);
  }
  return socket;
}

}  // namespace berth::keeper
