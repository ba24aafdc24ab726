// Remote forwarding (RFC 4254 7.1 and its Unix-socket twin in PROTOCOL of OpenSSH): the agent listens inside the workspace, each
// accepted connection becomes a channel to the client.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "server/gateway/context.hpp"

namespace berth::server {

// The listeners of one connection; they end with it.
class Forwards {
 public:
  explicit Forwards(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  // The bound port, or 0 for a Unix socket.
  boost::asio::awaitable<Result<std::uint16_t>> listen_tcp(std::string host, std::uint32_t port);
  boost::asio::awaitable<Result<std::uint16_t>> listen_unix(std::string path);
  bool cancel(const std::string& name);
  void close_all();

 private:
  struct Forward {
    std::unique_ptr<tunnels::Listener> listener;
    std::string host;  // as the client named it, or the path
    boost::asio::steady_timer stop;
    std::shared_ptr<auth::LiveSession> live;
  };
  void add(std::string name, std::string host, std::unique_ptr<tunnels::Listener> listener);
  static boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection, std::shared_ptr<Forward> forward);
  static boost::asio::awaitable<void> serve_one(std::shared_ptr<Connection> connection, tunnels::Listener::Accepted accepted, std::string host,
                                                std::uint16_t port);

  std::shared_ptr<Connection> connection_;
  bool closed_ = false;  // the connection has ended: what the workspace opens now is closed again
  std::map<std::string, std::shared_ptr<Forward>> forwards_;  // by "host:port" as asked and bound, or path
};

// Answers the connection's global requests until it ends.
boost::asio::awaitable<void> serve_global_requests(std::shared_ptr<Connection> connection, std::shared_ptr<Forwards> forwards);

}  // namespace berth::server
