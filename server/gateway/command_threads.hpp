// The threads on which commands of the gateway run: one each while it lasts, few for all and fewer for each user, so that nobody who leaves
// questions open can keep others from theirs.
#pragma once
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.hpp"
#include "server/gateway/command_bridge.hpp"

namespace berth::server {

class CommandThreads {
 public:
  static constexpr std::size_t kMost = 32, kMostOfOneUser = 4;

  CommandThreads() = default;
  ~CommandThreads() { stop(); }
  CommandThreads(const CommandThreads&) = delete;
  CommandThreads& operator=(const CommandThreads&) = delete;

  // Runs `command` on a thread of its own; it ends soon once `bridge` is given up. Error{unavailable} when too many run.
  Result<void> run(std::string user, std::shared_ptr<CommandBridge> bridge, std::function<void()> command);
  // Gives up every command and waits for its thread; no other may begin.
  void stop();

 private:
  struct Running {
    std::string user;
    std::shared_ptr<CommandBridge> bridge;
    std::atomic<bool> ended{false};
    std::thread thread;
  };
  void forget_ended();

  std::mutex mutex_;
  std::list<Running> running_;
  bool stopped_ = false;
};

}  // namespace berth::server
