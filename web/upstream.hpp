// Connections from one lane into workspaces: made by the workspace's agent, kept for the next request while they are idle.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "web/start_task.hpp"
#include "web/stream.hpp"

namespace berth::web {

class LaneServer;

// What a proxied path leads to.
struct Target {
  workspaces::WorkspaceId id;
  std::uint16_t port = 0;  // 0: Jupyter's Unix socket
  bool jupyter() const { return port == 0; }
  auto operator<=>(const Target&) const = default;
};

class Upstreams {
 public:
  explicit Upstreams(LaneServer& lane) : lane_(lane) {}

  // What is known to run; nullptr when the workspace (or its Jupyter) has to be started first.
  const Started* ready(const workspaces::WorkspaceId& id, bool with_jupyter);
  void remember(const workspaces::WorkspaceId& id, const Started& started);
  // Jupyter may have gone (its socket refuses): ask again at the next request.
  void forget(const workspaces::WorkspaceId& id);

  // A kept connection, or nullptr. It may be closed by the other side in this very moment.
  std::unique_ptr<Stream> take_kept(const Target& target);
  // A new one. ready() must have answered.
  boost::asio::awaitable<Result<std::unique_ptr<Stream>>> connect(Target target);
  void give_back(const Target& target, std::unique_ptr<Stream> stream);

  void close_unused(std::chrono::steady_clock::time_point now);
  void close_all();

 private:
  struct Idle {
    std::unique_ptr<Stream> stream;
    std::chrono::steady_clock::time_point since;
  };
  struct Known {
    Started started;
    std::chrono::steady_clock::time_point last_used;
  };
  LaneServer& lane_;
  std::map<workspaces::WorkspaceId, Known> known_;
  std::map<Target, std::vector<Idle>> idle_;
};

}  // namespace berth::web
