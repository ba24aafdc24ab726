// What workspaces and the machine use, from the kernel's own accounts: control groups (version 1 and 2), /proc and /sys.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "workspaces/manager.hpp"

namespace berth::keeper {

// Where the kernel's files are: for tests.
struct KernelFiles {
  std::filesystem::path proc = "/proc", sys = "/sys";
};

struct Usage {
  std::uint64_t cpu_us = 0;        // since the start
  std::uint64_t memory = 0;        // bytes, without file cache that would be given up at once
  std::uint64_t memory_limit = 0;  // 0: none
  double cpus = 0;                 // the limit; 0: none
};

// Of the control group that the process is in. Nothing when that is this program's own (the process engine has none for each workspace), when the
// process has gone, or when the kernel keeps no account.
std::optional<Usage> read_usage(pid_t pid, const KernelFiles& files = {});

// {"cpus","cpu_us","load":[…],"memory","memory_total","gpus":[{"name","busy"?,"memory"?,"memory_total"?}]}; what cannot be read is missing. `busy`: 0 to 1,
// where the driver tells by a file (AMD's does, NVIDIA's does not).
nlohmann::json read_box(const KernelFiles& files = {});

// The answer to {"do":"usage"} (workspaces/keeper_protocol.hpp) about these workspaces, by the process that is each one's agent.
nlohmann::json read_all_usage(const std::map<workspaces::WorkspaceId, pid_t>& running, const KernelFiles& files = {});

}  // namespace berth::keeper
