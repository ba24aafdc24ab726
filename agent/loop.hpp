// The agent's event loop: one thread, epoll, timers. Handlers run one at a time; each may watch, forget and close anything.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/handles.hpp"

namespace berth::agent {

class Loop {
 public:
  using Ready = std::function<void(std::uint32_t events)>;
  using WatchId = std::uint64_t;
  using TimerId = std::uint64_t;

  Loop();
  // Calls `ready` while any of `events` (EPOLLIN, EPOLLOUT) holds; level-triggered. Forget it before closing the descriptor.
  WatchId watch(int fd, std::uint32_t events, Ready ready);
  void change(WatchId id, std::uint32_t events);
  void forget(WatchId id);

  TimerId after(std::chrono::milliseconds delay, std::function<void()> action);
  void cancel(TimerId id);  // fine when it has run

  void run();   // until stop() or pause()
  void stop() { stopped_ = true; }
  void pause() { paused_ = true; }  // run() returns once, and may be called again

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Watch {
    int fd;
    std::shared_ptr<Ready> ready;
  };
  int next_timeout() const;
  void run_timers();

  FileDescriptor epoll_;
  bool stopped_ = false, paused_ = false;
  std::uint64_t last_id_ = 0;
  // Events name a watch by its id: one that was forgotten earlier in the same batch is not found.
  std::unordered_map<WatchId, Watch> watches_;
  std::map<std::pair<Time, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, Time> timer_times_;
};

}  // namespace berth::agent
