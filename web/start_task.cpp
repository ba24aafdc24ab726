#include "web/start_task.hpp"

#include <boost/asio/as_tuple.hpp>

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMaxLines = 200, kMaxLine = 500;
constexpr std::chrono::seconds kOutcomeLives{10};  // for the page that looks again after a second

asio::awaitable<Result<Started>> start(Lane& lane, workspaces::Manager& manager, workspaces::WorkspaceId id, bool with_jupyter,
                                       workspaces::Progress progress) {
  auto link = co_await manager.open(lane, id, progress);
  if (!link) co_return link.error();
  Started started{*link, std::nullopt};
  if (with_jupyter) {
    auto jupyter = co_await manager.jupyter(lane, id, progress);
    if (!jupyter) co_return jupyter.error();
    started.jupyter = std::move(*jupyter);
  }
  co_return started;
}

asio::awaitable<void> run(Lane& lane, workspaces::Manager& manager, workspaces::WorkspaceId id, bool with_jupyter, std::shared_ptr<StartTask> task) {
  Result<Started> outcome = Error{ErrorKind::internal, "the start was interrupted"};
  workspaces::Progress progress = [task](std::string_view line) { task->add_line(line); };
  try {
    outcome = co_await start(lane, manager, std::move(id), with_jupyter, std::move(progress));
  } catch (const std::exception& error) {
    outcome = Error{ErrorKind::internal, error.what()};
  }
  task->finish(std::move(outcome));
}

}  // namespace

asio::awaitable<void> StartTask::wait(std::size_t seen, std::chrono::milliseconds limit) {
  if (outcome_ || lines_.size() > seen) co_return;
  asio::steady_timer timer(executor_, limit);
  const auto place = waiting_.insert(waiting_.end(), &timer);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  waiting_.erase(place);
}

void StartTask::wake() {
  for (asio::steady_timer* timer : waiting_) timer->cancel();
}

void StartTask::add_line(std::string_view line) {
  if (lines_.size() >= kMaxLines) return;
  lines_.emplace_back(line.substr(0, kMaxLine));
  wake();
}

void StartTask::finish(Result<Started> outcome) {
  outcome_ = std::move(outcome);
  finished_at_ = std::chrono::steady_clock::now();
  wake();
}

std::shared_ptr<StartTask> StartTasks::begin(const workspaces::WorkspaceId& id, bool with_jupyter) {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(tasks_, [&](const auto& entry) { return entry.second->outcome_ && now - entry.second->finished_at_ > kOutcomeLives; });
  auto& task = tasks_[{id, with_jupyter}];
  if (!task) {
    task = std::make_shared<StartTask>(lane_.io.get_executor());
    asio::co_spawn(lane_.io, run(lane_, manager_, id, with_jupyter, task), asio::detached);
  }
  return task;
}

void StartTasks::told(const workspaces::WorkspaceId& id, bool with_jupyter) { tasks_.erase({id, with_jupyter}); }

bool StartTasks::running(const workspaces::WorkspaceId& id, bool with_jupyter) const {
  const auto found = tasks_.find({id, with_jupyter});
  return found != tasks_.end() && !found->second->outcome_;
}

}  // namespace berth::web
