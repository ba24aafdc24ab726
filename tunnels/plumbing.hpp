// The pipes between berthd and a process in a workspace.
#pragma once
#include <vector>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::tunnels {

// stdin, stdout and, without a terminal, stderr: our ends are non-blocking and stay here, theirs go to the agent. Each has an open file of its own.
struct Plumbing {
  std::vector<FileDescriptor> ours, theirs;
};
Result<Plumbing> make_plumbing(bool terminal);

}  // namespace berth::tunnels
