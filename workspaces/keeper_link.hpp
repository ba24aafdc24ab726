// The edge to berth-keeper, as the state machine of workspaces sees it. Lives on lane 0.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "workspaces/keeper_protocol.hpp"

namespace berth::workspaces {

struct EnsureEvents {
  std::function<void(std::string line)> progress;
  // The agent will dial in here: listen now.
  std::function<void(std::string directory)> directory;
};

struct KeeperEvents {
  std::function<void()> connected;                   // also again after a loss
  std::function<void(const KeeperRecord&)> ended;    // pid: which run of it
};

class KeeperLink {
 public:
  virtual ~KeeperLink() = default;
  virtual void start(KeeperEvents events) = 0;
  virtual void close() = 0;
  // Is it there now? From any thread.
  virtual bool connected() const = 0;
  // `image`: a name that the keeper offers; empty: its default. Error{closed}: the keeper went away meanwhile; every request may be made again. Error{unavailable}: it is not there.
  virtual boost::asio::awaitable<Result<KeeperRecord>> ensure(WorkspaceId id, std::string image, EnsureEvents events) = 0;
  virtual boost::asio::awaitable<Result<void>> stop(WorkspaceId id) = 0;
  virtual boost::asio::awaitable<Result<void>> remove(WorkspaceId id, bool with_home) = 0;
  virtual boost::asio::awaitable<Result<std::vector<KeeperRecord>>> list() = 0;
  // Any request about environments (keeper_protocol.hpp): the object of its "ok". `on_message` gets what comes before; may be empty. `silence`:
  // how long the keeper may say nothing.
  virtual boost::asio::awaitable<Result<nlohmann::json>> ask(nlohmann::json request, std::chrono::milliseconds silence,
                                                             std::function<void(const nlohmann::json& message)> on_message);
};

// Over the keeper's Unix socket; dials again by itself.
std::unique_ptr<KeeperLink> make_keeper_link(boost::asio::any_io_executor executor, std::string socket_path);

}  // namespace berth::workspaces
