// Ends of processes: those that we started are told to whoever waits, orphans of the workspace are only reaped.
#pragma once
#include <sys/types.h>

#include <functional>
#include <unordered_map>

namespace berth::agent {

class Children {
 public:
  void add(pid_t pid, std::function<void(int wait_status)> ended) { ended_[pid] = std::move(ended); }
  // Takes every process that has ended; false when there is no child left at all.
  bool reap();

 private:
  std::unordered_map<pid_t, std::function<void(int)>> ended_;
};

}  // namespace berth::agent
