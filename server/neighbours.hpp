// The berthds of one site: one serves; after an upgrade, those that were replaced serve what they still have. Each has a private Unix socket in
// server.run_dir (mode 0600; the user at the other end is checked). A new one connects to all that it finds (server/takeover.hpp), and by the
// connection each knows that the other lives.
//
// JSON messages on SOCK_SEQPACKET (tunnels/wire.hpp). First, from both ends:
//   hello    {instance, pid, version, started_at, draining, connections, until}; from the one that listens with the store's lock attached
// then, from the one that connected:
//   sockets  asks for what the other listens on: it answers `socket`, each with one descriptor, and `end` {notify_socket, watchdog_us}
//   taken    {limit_s}: it accepts there from now on; the other answers `draining`
//   agents   it listens for the agents of workspaces
//   stop     the whole site stops
// and each second from both: status {draining, connections, until}
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "server/takeover.hpp"
#include "tunnels/handshake.hpp"
#include "web/server.hpp"

namespace berth::server {

class Neighbours {
 public:
  struct Events {
    std::function<web::Instance()> self;  // as it is now
    std::function<Offer()> offer;         // copies of what this one listens on
    // `by` has them. False: not to this one (another one was faster, or we are stopping).
    std::function<bool(const web::Instance& by, std::chrono::seconds limit)> taken;
    std::function<void()> agents, stop;
    std::function<void(const std::string& instance)> gone;  // it has ended, in order or not
  };
  // Everything runs on `io`'s thread but all() and any(). `lock`: the store's.
  Neighbours(boost::asio::io_context& io, const std::filesystem::path& run_dir, int lock, Events events);
  ~Neighbours();

  // Makes the socket, and goes on with those that were found at the start. Before the lanes run.
  Result<void> start(std::vector<Found> found);
  void close();

  std::vector<web::Instance> all() const;  // this one first
  bool any() const;
  void tell_all(std::string_view type);

 private:
  struct Neighbour;
  using NeighbourPtr = std::shared_ptr<Neighbour>;
  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> serve(NeighbourPtr neighbour, bool greet);
  boost::asio::awaitable<void> tell_each_second();
  boost::asio::awaitable<bool> send(NeighbourPtr neighbour, nlohmann::json message, int descriptor = -1);
  boost::asio::awaitable<bool> take(NeighbourPtr neighbour, std::string text);
  boost::asio::awaitable<bool> give_sockets(NeighbourPtr neighbour);
  bool know(const NeighbourPtr& neighbour, const nlohmann::json& message);

  boost::asio::io_context& io_;
  const std::filesystem::path run_dir_;
  const int lock_;
  const Events events_;
  std::optional<tunnels::AgentListener> listener_;
  boost::asio::steady_timer second_;
  bool closed_ = false;
  mutable std::mutex mutex_;  // of the list; what it points to changes under it too
  std::vector<NeighbourPtr> neighbours_;
};

}  // namespace berth::server
