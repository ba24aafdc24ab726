// The life of workspaces as berthd sees it: makes one on first use through the keeper, waits for its agent to dial in,
// hands out links, stops and removes. The state machine lives on lane 0; links live on the lane that uses them.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/lane.hpp"
#include "base/result.hpp"
#include "tunnels/agent_link.hpp"

namespace berth::workspaces {

struct WorkspaceId {
  std::string user;
  std::string name = "main";
  auto operator<=>(const WorkspaceId&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 stumbles over it
};

// "ada" is {ada, main}; "ada+nlp" is {ada, nlp}. Both parts: [a-z][a-z0-9_-]{0,31}; "root" and system names are refused.
Result<WorkspaceId> parse_login_name(std::string_view login);

enum class WorkspaceState { stopped, starting, running, stopping, failed };
std::string_view name_of(WorkspaceState state);

struct WorkspaceStatus {
  WorkspaceId id;
  WorkspaceState state = WorkspaceState::stopped;
  std::string image;
  std::string detail;     // what it does now while starting; why it failed
  Timestamp created_at{}; // zero: never made
  Timestamp started_at{}; // zero when not running
};

// Called on the caller's lane with one line of progress ("Starting your workspace…"), no newline.
using Progress = std::function<void(std::string_view line)>;

class Manager {
 public:
  virtual ~Manager() = default;
  // The agent link of a running workspace on the caller's lane, starting the workspace when needed. Waits as long as the
  // keeper reports progress. Concurrent calls share one start. Fast path: no thread is crossed when the link is up.
  virtual boost::asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> open(Lane& lane, WorkspaceId id, Progress progress) = 0;
  virtual boost::asio::awaitable<Result<void>> stop(Lane& lane, WorkspaceId id) = 0;
  // Stops it and makes its container anew at the next use; the home stays.
  virtual boost::asio::awaitable<Result<void>> reset(Lane& lane, WorkspaceId id) = 0;
  // Removes container and record; the user's home stays unless `with_home`.
  virtual boost::asio::awaitable<Result<void>> remove(Lane& lane, WorkspaceId id, bool with_home) = 0;
  // All known, or only one user's; always holds at least `main` of a named user.
  virtual boost::asio::awaitable<Result<std::vector<WorkspaceStatus>>> list(Lane& lane, std::string user) = 0;
  // The Jupyter service of a workspace: starts it on demand. `token` must only be sent upstream.
  struct Jupyter { std::string socket_path; std::string token; };
  virtual boost::asio::awaitable<Result<Jupyter>> jupyter(Lane& lane, WorkspaceId id, Progress progress) = 0;
  // `changed` is called on lane 0 with the user whenever the status of a workspace of theirs has changed. One watcher; set it before start().
  virtual void watch(std::function<void(const std::string& user)> changed) = 0;
  // Begins to listen for agents and adopts what runs already (found by label). Call once, on lane 0.
  virtual boost::asio::awaitable<Result<void>> start() = 0;
  // Does the keeper answer? Without it nothing can be started. From any thread.
  virtual bool keeper_connected() const = 0;
  // Stops listening; workspaces go on running.
  virtual void shutdown() = 0;
  // Another berthd serves from now on: stops listening and leaves the agents' sockets to it; links that are there stay. On lane 0.
  virtual void retire() {}
  // It listens now: tells every agent to dial it. On lane 0, after retire().
  virtual void send_agents_on() {}
};

struct ManagerOptions {
  std::string keeper_socket;
  std::string agent_socket_root;  // the keeper makes the folders in it; berthd only listens there
  std::string jupyter_secret;     // binary; a workspace's Jupyter token is derived from it, so it outlives restarts
  // Called on lane 0 before a workspace is started: the name of its image (empty: the default), and what its user is told first.
  struct Choice {
    std::string image;
    std::vector<std::string> notes;
  };
  std::function<Choice(const WorkspaceId& id)> choose_image;
};

// The link of a workspace that runs; null for one that does not, which is not started for being asked.
boost::asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> link_if_running(Manager& manager, Lane& lane, WorkspaceId id);

// `lanes` must outlive the manager; coroutines of it may be suspended on them, so drop it after the lanes have stopped.
std::unique_ptr<Manager> make_manager(ManagerOptions options, Lanes& lanes);

}  // namespace berth::workspaces
