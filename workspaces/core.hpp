// The state machine of workspaces: starts, stops and adopts them through the keeper, and admits their agents. Lives on lane 0;
// the links that it makes are handed to their lanes.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tunnels/handshake.hpp"
#include "workspaces/changes.hpp"
#include "workspaces/keeper_link.hpp"
#include "workspaces/links.hpp"

namespace berth::workspaces {

class Core {
 public:
  Core(ManagerOptions options, Lanes& lanes, std::vector<LaneLinks>& links, std::unique_ptr<KeeperLink> keeper, MakeLink make_link);
  ~Core();

  bool keeper_connected() const { return keeper_->connected(); }  // from any thread

  // Everything below: on lane 0.
  boost::asio::awaitable<Result<void>> start();
  void shutdown();
  void retire();
  void send_agents_on();
  void watch(std::function<void(const std::string& user)> changed) { watcher_ = std::move(changed); }
  // When it succeeds, the link is in the lane's table (posted there before the caller can be told). `report` may be called
  // until it returns.
  boost::asio::awaitable<Result<void>> open(WorkspaceId id, std::size_t lane, Progress report);
  boost::asio::awaitable<Result<void>> stop(WorkspaceId id);
  // Removes the container; `forget`: the record too.
  boost::asio::awaitable<Result<void>> remove(WorkspaceId id, bool with_home, bool forget);
  boost::asio::awaitable<Result<std::vector<WorkspaceStatus>>> list(std::string user);

 private:
  struct Starting {
    std::optional<Result<void>> result;
  };
  struct Entry {
    WorkspaceStatus status;
    pid_t pid = 0;  // of the agent that may dial in
    uid_t uid = 0;
    std::string home;
    std::shared_ptr<Starting> starting;
    std::optional<tunnels::AgentListener> listener;
    std::vector<std::uint64_t> links;  // by lane: the serial of its link; 0 none
    std::vector<int> wanted;           // by lane: how many wait for its link
    std::string agent_refused;         // why an agent that dialled is of no use; empty: none was refused
    std::vector<Progress*> reports;
    Changes changed;
  };
  using EntryPtr = std::shared_ptr<Entry>;

  EntryPtr entry(const WorkspaceId& id);
  boost::asio::awaitable<Result<void>> ensure(EntryPtr entry);
  boost::asio::awaitable<void> run_start(EntryPtr entry, std::shared_ptr<Starting> starting);
  boost::asio::awaitable<Result<void>> wait_for_link(EntryPtr entry, std::size_t lane);
  boost::asio::awaitable<Result<void>> synchronize();
  boost::asio::awaitable<void> synchronize_later();
  void apply(const EntryPtr& entry, const KeeperRecord& record);
  void set_stopped(const EntryPtr& entry, WorkspaceState state, std::string detail);
  void on_ended(const KeeperRecord& record);

  Result<void> listen(const EntryPtr& entry, const std::string& directory);
  boost::asio::awaitable<void> accept_agents(EntryPtr entry);
  boost::asio::awaitable<bool> admit(EntryPtr entry, tunnels::WorkspaceSocket socket);
  void hand_over(const EntryPtr& entry, std::size_t lane, FileDescriptor socket);
  void on_link_closed(WorkspaceId id, std::size_t lane, std::uint64_t serial);
  void drop_links(const EntryPtr& entry);
  void drop_link(const EntryPtr& entry, std::size_t lane);
  void tell(const EntryPtr& entry, std::string_view line);
  void note_change(const EntryPtr& entry);

  const ManagerOptions options_;
  Lanes& lanes_;
  std::vector<LaneLinks>& links_;
  std::unique_ptr<KeeperLink> keeper_;
  MakeLink make_link_;
  std::map<WorkspaceId, EntryPtr> entries_;
  std::uint64_t last_serial_ = 0;
  bool synchronized_ = false, shut_down_ = false, retired_ = false;
  Changes synchronized_changed_;
  std::function<void(const std::string& user)> watcher_;
};

}  // namespace berth::workspaces
