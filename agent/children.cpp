#include "agent/children.hpp"

#include <sys/wait.h>

#include <cerrno>

namespace berth::agent {

bool Children::reap() {
  for (;;) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return pid == 0;
    auto found = ended_.find(pid);
    if (found == ended_.end()) continue;
    auto ended = std::move(found->second);
    ended_.erase(found);
    ended(status);
  }
}

}  // namespace berth::agent
