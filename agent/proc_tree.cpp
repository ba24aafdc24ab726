#include "agent/proc_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/handles.hpp"

namespace berth::agent {

namespace {

std::string read_small(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  ssize_t count = file ? ::read(file.get(), text, sizeof text) : 0;
  return std::string(text, count > 0 ? static_cast<std::size_t>(count) : 0);
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::vector<ProcessEntry> all_processes() {
  std::vector<ProcessEntry> list;
  std::unique_ptr<DIR, FreeWith<::closedir>> directory(::opendir("/proc"));
  while (dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    if (!read_number(entry->d_name)) continue;
    ProcessEntry process;
    if (parse_stat(read_small(std::string("/proc/") + entry->d_name + "/stat"), process)) list.push_back(process);
  }
  return list;
}

std::optional<std::uint64_t> cgroup_cpu_us() {
  std::string v2 = read_small("/sys/fs/cgroup/cpu.stat");
  if (auto at = v2.find("usage_usec "); at != v2.npos) return read_number(std::string_view(v2).substr(at + 11));
  auto nanoseconds = read_number(read_small("/sys/fs/cgroup/cpuacct/cpuacct.usage"));
  if (!nanoseconds) return std::nullopt;
  return *nanoseconds / 1000;
}

std::optional<std::uint64_t> cgroup_memory() {
  auto v2 = read_number(read_small("/sys/fs/cgroup/memory.current"));
  return v2 ? v2 : read_number(read_small("/sys/fs/cgroup/memory/memory.usage_in_bytes"));
}

}  // namespace

// pid (name) state ppid … utime(14) stime(15) … rss(24)
bool parse_stat(std::string_view line, ProcessEntry& entry) {
  auto pid = read_number(line);
  auto close = line.rfind(')');
  if (!pid || close == line.npos) return false;
  std::vector<std::string_view> fields;
  for (std::size_t start = close + 2; start < line.size();) {
    auto end = std::min(line.find(' ', start), line.size());
    fields.push_back(line.substr(start, end - start));
    start = end + 1;
  }
  auto field = [&](std::size_t number) { return read_number(fields[number - 3]).value_or(0); };
  if (fields.size() < 22) return false;
  entry.pid = static_cast<pid_t>(*pid);
  entry.parent = static_cast<pid_t>(field(4));
  entry.cpu_ticks = field(14) + field(15);
  entry.resident_pages = field(24);
  return true;
}

std::vector<ProcessEntry> descendants() {
  std::unordered_multimap<pid_t, ProcessEntry> by_parent;
  for (const auto& process : all_processes()) by_parent.emplace(process.parent, process);
  std::vector<ProcessEntry> found;
  std::unordered_set<pid_t> seen{::getpid()};  // a snapshot of a moving tree may hold a loop
  std::vector<pid_t> pending{::getpid()};
  while (!pending.empty()) {
    auto [first, last] = by_parent.equal_range(pending.back());
    pending.pop_back();
    for (; first != last; ++first)
      if (seen.insert(first->second.pid).second) {
        found.push_back(first->second);
        pending.push_back(first->second.pid);
      }
  }
  return found;
}

Usage measure_usage() {
  Usage usage;
  std::uint64_t ticks = 0, pages = 0;
  for (const auto& process : descendants()) {
    ++usage.processes;
    ticks += process.cpu_ticks;
    pages += process.resident_pages;
  }
  usage.cpu_us = ticks * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  usage.memory_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (::getpid() == 1) {
    usage.cpu_us = cgroup_cpu_us().value_or(usage.cpu_us);
    usage.memory_bytes = cgroup_memory().value_or(usage.memory_bytes);
  }
  usage.load1 = std::strtod(read_small("/proc/loadavg").c_str(), nullptr);
  return usage;
}

}  // namespace berth::agent
