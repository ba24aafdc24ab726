// Starting a workspace, or Jupyter in it, for browsers: one task however many pages wait, with the lines that they show.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workspaces/manager.hpp"

namespace berth::web {

struct Started {
  std::shared_ptr<tunnels::AgentLink> link;
  std::optional<workspaces::Manager::Jupyter> jupyter;  // when it was asked for
};

class StartTask {
 public:
  explicit StartTask(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  const std::vector<std::string>& lines() const { return lines_; }
  const std::optional<Result<Started>>& outcome() const { return outcome_; }

  // Until there are more than `seen` lines or the outcome, or `limit` has passed.
  boost::asio::awaitable<void> wait(std::size_t seen, std::chrono::milliseconds limit);

  void add_line(std::string_view line);  // at most 200 lines of 500 bytes are kept
  void finish(Result<Started> outcome);

 private:
  friend class StartTasks;
  void wake();
  boost::asio::any_io_executor executor_;
  std::vector<std::string> lines_;
  std::optional<Result<Started>> outcome_;
  std::chrono::steady_clock::time_point finished_at_{};
  std::list<boost::asio::steady_timer*> waiting_;
};

class StartTasks {
 public:
  StartTasks(Lane& lane, workspaces::Manager& manager) : lane_(lane), manager_(manager) {}

  // The task under way, a failure that nobody has been told of yet, or a new task.
  std::shared_ptr<StartTask> begin(const workspaces::WorkspaceId& id, bool with_jupyter);
  // Its outcome has been told: the next begin() starts anew.
  void told(const workspaces::WorkspaceId& id, bool with_jupyter);
  bool running(const workspaces::WorkspaceId& id, bool with_jupyter) const;

 private:
  using Key = std::pair<workspaces::WorkspaceId, bool>;
  Lane& lane_;
  workspaces::Manager& manager_;
  std::map<Key, std::shared_ptr<StartTask>> tasks_;
};

}  // namespace berth::web
