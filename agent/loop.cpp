#include "agent/loop.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/assert.hpp"

namespace berth::agent {

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { BERTH_ASSERT(epoll_); }

Loop::WatchId Loop::watch(int fd, std::uint32_t events, Ready ready) {
  WatchId id = ++last_id_;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return 0;  // out of memory or of user watches
  watches_.emplace(id, Watch{fd, std::make_shared<Ready>(std::move(ready))});
  return id;
}

void Loop::change(WatchId id, std::uint32_t events) {
  auto found = watches_.find(id);
  if (found == watches_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void Loop::forget(WatchId id) {
  auto found = watches_.find(id);
  if (found == watches_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  watches_.erase(found);
}

Loop::TimerId Loop::after(std::chrono::milliseconds delay, std::function<void()> action) {
  TimerId id = ++last_id_;
  Time when = std::chrono::steady_clock::now() + delay;
  timers_.emplace(std::pair(when, id), std::move(action));
  timer_times_.emplace(id, when);
  return id;
}

void Loop::cancel(TimerId id) {
  auto found = timer_times_.find(id);
  if (found == timer_times_.end()) return;
  timers_.erase({found->second, id});
  timer_times_.erase(found);
}

int Loop::next_timeout() const {
  if (timers_.empty()) return -1;
  auto left = timers_.begin()->first.first - std::chrono::steady_clock::now();
  auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(milliseconds, 0, 60'000));
}

void Loop::run_timers() {
  Time now = std::chrono::steady_clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    auto first = timers_.begin();
    auto action = std::move(first->second);
    timer_times_.erase(first->first.second);
    timers_.erase(first);
    action();
  }
}

void Loop::run() {
  epoll_event events[32];
  paused_ = false;
  while (!stopped_ && !paused_) {
    int count = ::epoll_wait(epoll_.get(), events, 32, next_timeout());
    BERTH_ASSERT(count >= 0 || errno == EINTR);
    for (int i = 0; i < count && !stopped_; ++i) {
      const WatchId id = events[i].data.u64;  // a copy: epoll_event is packed, a reference into it would be misaligned
      auto found = watches_.find(id);
      if (found == watches_.end()) continue;
      auto ready = found->second.ready;  // the handler may forget its own watch
      (*ready)(events[i].events);
    }
    run_timers();
  }
}

}  // namespace berth::agent
