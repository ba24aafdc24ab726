// What runs in the workspace, from /proc: the processes below the agent (all of them, since orphans come back to it).
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::agent {

struct ProcessEntry {
  pid_t pid = 0, parent = 0;
  std::uint64_t cpu_ticks = 0, resident_pages = 0;
};

// One line of /proc/PID/stat; the name in it may hold spaces and parentheses. False when it is none.
bool parse_stat(std::string_view line, ProcessEntry& entry);

std::vector<ProcessEntry> descendants();

struct Usage {
  std::uint64_t cpu_us = 0, memory_bytes = 0, processes = 0;
  double load1 = 0;
};
// Of the workspace's cgroup where the agent is its PID 1, else summed over the descendants.
Usage measure_usage();

}  // namespace berth::agent
