// How many wrong codes each user typed lately: in memory, shared by the lanes.
#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.hpp"

namespace berth::auth {

class WrongTries {
 public:
  WrongTries(std::size_t most, std::chrono::seconds within) : most_(most), within_(within) {}

  // Error{unavailable} while `user` has used up its tries.
  Result<void> check(const std::string& user, Timestamp now) {
    const std::lock_guard lock(mutex_);
    const auto found = tries_.find(user);
    if (found == tries_.end()) return {};
    while (!found->second.empty() && now - found->second.front() >= within_) found->second.pop_front();
    const std::size_t count = found->second.size();
    if (count == 0) tries_.erase(found);
    if (count < most_) return {};
    return Error{ErrorKind::unavailable, "too many wrong codes: wait a minute"};
  }
  // Users are few (they have logged in with a key), and each holds at most a few times: bounded.
  void add(const std::string& user, Timestamp now) {
    const std::lock_guard lock(mutex_);
    auto& times = tries_[user];
    times.push_back(now);
    if (times.size() > most_) times.pop_front();
  }

 private:
  const std::size_t most_;
  const std::chrono::seconds within_;
  std::mutex mutex_;
  std::map<std::string, std::deque<Timestamp>> tries_;
};

}  // namespace berth::auth
