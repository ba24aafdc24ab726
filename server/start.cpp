#include "server/start.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/handles.hpp"

namespace berth::server {
namespace {

constexpr int kFailed = 1;

// 0 once the child wrote its byte; else it ended before.
int wait_for(pid_t child, int readiness) {
  char byte = 0;
  ssize_t got = 0;
  do got = ::read(readiness, &byte, 1);
  while (got < 0 && errno == EINTR);
  if (got == 1) return 0;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : kFailed;
}

}  // namespace

std::optional<int> go_to_background(std::function<void()>& ready) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    std::fprintf(stderr, "berthd: %s\n", std::strerror(errno));
    return kFailed;
  }
  FileDescriptor mine(ends[0]);
  auto childs = std::make_shared<FileDescriptor>(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    std::fprintf(stderr, "berthd: %s\n", std::strerror(errno));
    return kFailed;
  }
  if (child > 0) {
    childs->reset();
    return wait_for(child, mine.get());
  }
  ::setsid();  // what is meant for the terminal of whoever started it is not for us
  ready = [childs] {
    const char byte = 0;
    (void)!::write(childs->get(), &byte, 1);
    childs->reset();
  };
  return std::nullopt;
}

}  // namespace berth::server
