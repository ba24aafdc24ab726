// Starting a process: fork, arrange, exec.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.hpp"

namespace berth::agent {

struct SpawnPlan {
  std::string program;                   // a path, or a name to be found in PATH
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // NAME=value
  std::string cwd;
  bool home_cwd = false;                 // cwd is only the home: go on in / when it cannot be entered
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;
  bool terminal = false;                 // stdin_fd becomes the controlling terminal
};

// The new process leads its own session, has default signals, no other descriptors. When the program cannot be run, it
// says so on its stderr and ends with 127 (not found) or 126: the agent does not wait for that, since a home on a hung
// file system must not stop it.
Result<pid_t> spawn(const SpawnPlan& plan);

}  // namespace berth::agent
