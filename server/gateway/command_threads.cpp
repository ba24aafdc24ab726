#include "server/gateway/command_threads.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace berth::server {

void CommandThreads::forget_ended() {
  for (auto each = running_.begin(); each != running_.end();) {
    if (!each->ended) {
      ++each;
      continue;
    }
    each->thread.join();
    each = running_.erase(each);
  }
}

Result<void> CommandThreads::run(std::string user, std::shared_ptr<CommandBridge> bridge, std::function<void()> command) {
  const std::lock_guard lock(mutex_);
  forget_ended();
  if (stopped_) return Error{ErrorKind::unavailable, "berthd is stopping"};
  const auto own = std::count_if(running_.begin(), running_.end(), [&](const Running& each) { return each.user == user; });
  if (static_cast<std::size_t>(own) >= kMostOfOneUser) {
    return Error{ErrorKind::unavailable, "you have " + std::to_string(own) + " commands of Berth running already: end one, or wait"};
  }
  if (running_.size() >= kMost) return Error{ErrorKind::unavailable, "too many commands of Berth are running on this machine: try again in a moment"};
  Running& added = running_.emplace_back();
  added.user = std::move(user);
  added.bridge = std::move(bridge);
  added.thread = std::thread([&added, work = std::move(command)] {
    try {
      work();
    } catch (const std::exception& error) {
      log_error("gateway.command", {{"error", std::string_view(error.what())}});
    }
    added.ended = true;
  });
  return {};
}

void CommandThreads::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (Running& each : running_) each.bridge->give_up();
  for (Running& each : running_) each.thread.join();
  running_.clear();
}

}  // namespace berth::server
