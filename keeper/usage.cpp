#include "keeper/usage.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = 1ULL << 60;  // version 1 writes a number near 2^63
constexpr std::size_t kMostGpus = 64;

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

std::optional<std::uint64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

// The number behind `name` in lines of "name number".
std::uint64_t field_of(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  std::string key;
  std::uint64_t value = 0;
  while (lines >> key >> value)
    if (key == name) return value;
  return 0;
}

// The folder of each controller's group, as /proc/PID/cgroup tells: "0::/path" (version 2) or "4:memory:/path".
struct Groups {
  fs::path unified, cpuacct, cpu, memory;
  bool operator==(const Groups&) const = default;
};

bool lists(std::string_view controllers, std::string_view wanted) {
  return ("," + std::string(controllers) + ",").find("," + std::string(wanted) + ",") != std::string::npos;
}

Groups groups_of(const std::string& process, const KernelFiles& files) {
  Groups groups;
  const fs::path root = files.sys / "fs/cgroup";
  std::istringstream lines(read_text(files.proc / process / "cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos || line.compare(second + 1, 1, "/") != 0) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 2);
    if (path.find("..") != std::string::npos) continue;  // outside of what this program can see
    if (controllers.empty()) groups.unified = root / path;
    else if (lists(controllers, "memory")) groups.memory = root / controllers / path;
    if (lists(controllers, "cpuacct")) groups.cpuacct = root / controllers / path;
    if (lists(controllers, "cpu")) groups.cpu = root / controllers / path;
  }
  return groups;
}

std::optional<Usage> usage_of_version_2(const fs::path& group) {
  const auto memory = read_number(group / "memory.current");
  if (!memory) return std::nullopt;
  Usage usage;
  usage.cpu_us = field_of(read_text(group / "cpu.stat"), "usage_usec");
  usage.memory = *memory - std::min(*memory, field_of(read_text(group / "memory.stat"), "inactive_file"));
  usage.memory_limit = read_number(group / "memory.max").value_or(0);  // "max" is no number
  std::istringstream limit(read_text(group / "cpu.max"));
  double quota = 0, period = 0;
  if (limit >> quota >> period && period > 0) usage.cpus = quota / period;
  return usage;
}

std::optional<Usage> usage_of_version_1(const Groups& groups) {
  const auto memory = read_number(groups.memory / "memory.usage_in_bytes"), cpu_ns = read_number(groups.cpuacct / "cpuacct.usage");
  if (!memory || !cpu_ns) return std::nullopt;
  Usage usage;
  usage.cpu_us = *cpu_ns / 1000;
  usage.memory = *memory - std::min(*memory, field_of(read_text(groups.memory / "memory.stat"), "total_inactive_file"));
  const std::uint64_t limit = read_number(groups.memory / "memory.limit_in_bytes").value_or(0);
  usage.memory_limit = limit >= kNoLimit ? 0 : limit;
  const auto quota = read_number(groups.cpu / "cpu.cfs_quota_us"), period = read_number(groups.cpu / "cpu.cfs_period_us");  // -1: no limit, and no such number
  if (quota && period && *period > 0 && *quota < kNoLimit) usage.cpus = static_cast<double>(*quota) / static_cast<double>(*period);
  return usage;
}

nlohmann::json amd_gpu(const fs::path& device) {
  nlohmann::json gpu = {{"name", "AMD GPU"}};
  std::string product = read_text(device / "product_name");
  while (!product.empty() && product.back() == '\n') product.pop_back();
  if (!product.empty()) gpu["name"] = product.substr(0, 100);
  if (const auto busy = read_number(device / "gpu_busy_percent")) gpu["busy"] = static_cast<double>(std::min<std::uint64_t>(*busy, 100)) / 100;
  if (const auto used = read_number(device / "mem_info_vram_used")) gpu["memory"] = *used;
  if (const auto total = read_number(device / "mem_info_vram_total")) gpu["memory_total"] = *total;
  return gpu;
}

nlohmann::json read_gpus(const KernelFiles& files) {
  nlohmann::json gpus = nlohmann::json::array();
  std::error_code none;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(files.proc / "driver/nvidia/gpus", none)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  for (const fs::path& folder : found) {
    std::istringstream lines(read_text(folder / "information"));
    for (std::string line; std::getline(lines, line) && gpus.size() < kMostGpus;) {
      const std::size_t begin = line.find_first_not_of(" \t", 6);
      if (line.starts_with("Model:") && begin != std::string::npos) gpus.push_back({{"name", line.substr(begin, 100)}});
    }
  }
  found.clear();
  for (const auto& entry : fs::directory_iterator(files.sys / "class/drm", none))
    if (entry.path().filename().string().find('-') == std::string::npos && fs::exists(entry.path() / "device/gpu_busy_percent", none)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  for (const fs::path& card : found)
    if (card.filename().string().starts_with("card") && gpus.size() < kMostGpus) gpus.push_back(amd_gpu(card / "device"));
  return gpus;
}

}  // namespace

std::optional<Usage> read_usage(pid_t pid, const KernelFiles& files) {
  const Groups groups = groups_of(std::to_string(pid), files), own = groups_of("self", files);
  const bool version_1 = !groups.memory.empty();
  if (version_1 ? groups.memory == own.memory || groups.cpuacct.empty() : groups.unified.empty() || groups.unified == own.unified) return std::nullopt;
  return version_1 ? usage_of_version_1(groups) : usage_of_version_2(groups.unified);
}

nlohmann::json read_box(const KernelFiles& files) {
  nlohmann::json box = {{"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)}, {"gpus", read_gpus(files)}};
  double load[3] = {};
  std::istringstream loads(read_text(files.proc / "loadavg"));
  if (loads >> load[0] >> load[1] >> load[2]) box["load"] = {load[0], load[1], load[2]};
  // "cpu  user nice system idle iowait irq softirq steal …", in ticks.
  std::istringstream stat(read_text(files.proc / "stat"));
  std::string name;
  std::uint64_t ticks[8] = {};
  bool whole = static_cast<bool>(stat >> name);
  for (std::uint64_t& one : ticks) whole = whole && static_cast<bool>(stat >> one);
  if (whole) box["cpu_us"] = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  std::istringstream memory(read_text(files.proc / "meminfo"));
  std::uint64_t kilobytes = 0, total = 0, available = 0;
  for (std::string unit; memory >> name >> kilobytes; std::getline(memory, unit)) {
    if (name == "MemTotal:") total = kilobytes * 1024;
    if (name == "MemAvailable:") available = kilobytes * 1024;
  }
  if (total > 0) box["memory_total"] = total, box["memory"] = total - std::min(total, available);
  return box;
}

nlohmann::json read_all_usage(const std::map<workspaces::WorkspaceId, pid_t>& running, const KernelFiles& files) {
  nlohmann::json items = nlohmann::json::array();
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  for (const auto& [id, pid] : running) {
    const auto usage = read_usage(pid, files);
    if (!usage) continue;
    items.push_back({{"user", id.user}, {"workspace", id.name}, {"pid", pid}, {"cpu_us", usage->cpu_us}, {"memory", usage->memory},
                     {"memory_limit", usage->memory_limit}, {"cpus", usage->cpus}});
  }
  return {{"at_us", std::chrono::duration_cast<std::chrono::microseconds>(now).count()}, {"workspaces", std::move(items)}, {"box", read_box(files)}};
}

}  // namespace berth::keeper
