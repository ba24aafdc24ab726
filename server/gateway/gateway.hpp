// The SSH side of berthd: accepts connections on every lane, logs users in by key, serves their channels.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.hpp"
#include "server/gateway/context.hpp"

namespace berth::server {

class Gateway {
 public:
  Gateway(GatewayServices services, std::shared_ptr<const ssh::ServerOptions> ssh_options);

  // Accepts on `acceptor` for the life of the program, or until stop_accepting(). Spawn on the lane of the acceptor.
  boost::asio::awaitable<void> accept_loop(ServerLane& lane, std::shared_ptr<boost::asio::ip::tcp::acceptor> acceptor);

  // For connections accepted from now on. From any thread.
  void use(std::shared_ptr<const ssh::ServerOptions> ssh_options) {
    ssh_options_.exchange(std::move(ssh_options))->superseded->store(true, std::memory_order_release);
  }

  // Connections alive now, over all lanes.
  int connections() const { return connections_.load(std::memory_order_relaxed); }
  // Counters for /metrics, Prometheus text.
  std::string metrics() const;

 private:
  static boost::asio::awaitable<void> serve(Gateway& gateway, ServerLane& lane, boost::asio::ip::tcp::socket socket,
                                            ConnectionLimits::Place place);
  struct Arrival;
  boost::asio::awaitable<std::optional<Arrival>> let_in(boost::asio::ip::tcp::socket& socket, std::chrono::steady_clock::time_point began);
  // login.cpp. Answers one request that shows a certificate; the connection when it logged in.
  std::shared_ptr<Connection> try_certificate(ServerLane& lane, const std::shared_ptr<ssh::Session>& session, const ssh::AuthRequest& request,
                                              const std::string& client, const std::string& server, std::string& why, bool& is_known);
  boost::asio::awaitable<std::shared_ptr<Connection>> log_in(ServerLane& lane, std::shared_ptr<ssh::Session> session,
                                                             std::string client, std::string server);
  void connection_began(ServerLane& lane);
  void connection_ended(ServerLane& lane);
  static boost::asio::awaitable<void> trim_when_settled(Gateway& gateway);

  GatewayServices services_;
  std::atomic<std::shared_ptr<const ssh::ServerOptions>> ssh_options_;
  std::atomic<int> connections_{0};
  std::atomic<int> connections_most_{0};  // since memory was last given back
  std::atomic<bool> settling_{false};      // memory will be given back once more soon
  std::atomic<bool> crowd_{false};         // there were many since, and not yet none again
  std::atomic<std::uint64_t> accepted_{0}, refused_full_{0}, refused_sources_{0}, logins_{0}, failed_logins_{0};
  Histogram login_latency_;  // from accept to a login that succeeded
  std::atomic<std::uint64_t> handshakes_failed_{0};
};

}  // namespace berth::server
