// berth-agent [--socket PATH]: PID 1 of a workspace. docs/agent-protocol.md says what it speaks.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/agent.hpp"
#include "base/assert.hpp"

namespace berth::agent {
namespace {

constexpr const char* kHelp =
    "berth-agent: runs inside a workspace and opens its processes and sockets for Berth\n"
    "  --socket PATH   the SOCK_SEQPACKET socket to dial (default /run/berth/agent.sock)\n"
    "  --version       print the version\n"
    "  --help          print this\n"
    "SIGTERM ends every process of the workspace (hang-up, termination, after 5 s kill), then the agent.\n";

struct Options {
  std::string socket_path = "/run/berth/agent.sock";
  int exit_code = -1;  // 0 or more: end at once with it
};

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--version") {
      std::puts("berth-agent " BERTH_VERSION);
      options.exit_code = 0;
    } else if (argument == "--help") {
      std::fputs(kHelp, stdout);
      options.exit_code = 0;
    } else if (argument == "--socket" && i + 1 < count) {
      options.socket_path = arguments[++i];
    } else {
      std::fprintf(stderr, "berth-agent: unknown argument '%s'; see --help\n", arguments[i]);
      options.exit_code = 2;
    }
    if (options.exit_code >= 0) break;
  }
  return options;
}

// Descriptors that whoever started us forgot to close must not reach the workspace's programs.
void close_inherited() {
  if (::syscall(SYS_close_range, 3U, ~0U, 0U) == 0) return;
  long most = ::sysconf(_SC_OPEN_MAX);
  for (int fd = 3; fd < most && fd < 65536; ++fd) ::close(fd);
}

// 0, 1 and 2 must be taken, or a pipe of a session could get such a number.
void fill_standard_descriptors() {
  int fd;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2);
  if (fd > 2) ::close(fd);
}

// Where login managers would make it. A container's engine can only give us its parent, writable by all.
void make_runtime_directory() {
  const char* path = std::getenv("XDG_RUNTIME_DIR");
  if (path && path[0] == '/') ::mkdir(path, 0700);
}

FileDescriptor take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would reap before us
  return FileDescriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

int run(const Options& options) {
  close_inherited();
  fill_standard_descriptors();
  make_runtime_directory();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  FileDescriptor signals = take_signals();
  BERTH_ASSERT(signals);
  Loop loop;
  Agent agent(loop, options.socket_path, describe_own_user());
  loop.watch(signals.get(), EPOLLIN, [&](std::uint32_t) {
    signalfd_siginfo info;
    while (::read(signals.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) agent.child_ended();
      else if (info.ssi_signo != SIGHUP) agent.stop();
    }
  });
  agent.start();
  loop.run();
  return 0;
}

}  // namespace
}  // namespace berth::agent

int main(int count, char** arguments) {
  auto options = berth::agent::parse(count, arguments);
  return options.exit_code >= 0 ? options.exit_code : berth::agent::run(options);
}
