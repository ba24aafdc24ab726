#include "agent/spawn.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace berth::agent {

namespace {

void say(const std::string& text) {
  std::string line = "berth: " + text + "\n";
  [[maybe_unused]] ssize_t ignored = ::write(2, line.data(), line.size());
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Everything of ours is close-on-exec and numbered 3 or more, so these three dup2 cannot step on each other.
void arrange_descriptors(const SpawnPlan& plan) {
  ::dup2(plan.stdin_fd, 0);
  ::dup2(plan.stdout_fd, 1);
  ::dup2(plan.stderr_fd, 2);
}

void enter(const SpawnPlan& plan) {
  if (::chdir(plan.cwd.c_str()) == 0) return;
  say(plan.cwd + ": " + std::strerror(errno));
  if (!plan.home_cwd || ::chdir("/") < 0) ::_exit(126);
}

[[noreturn]] void become(const SpawnPlan& plan, char** argv, char** environment) {
  ::setsid();
  arrange_descriptors(plan);
  if (plan.terminal) ::ioctl(0, TIOCSCTTY, 0);
  reset_signals();
  enter(plan);
  ::environ = environment;  // execvp searches its PATH
  ::execvp(plan.program.c_str(), argv);
  int why = errno;
  say(plan.program + ": " + (why == ENOENT ? "not found" : std::strerror(why)));
  ::_exit(why == ENOENT ? 127 : 126);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (const auto& string : strings) list.push_back(const_cast<char*>(string.c_str()));
  list.push_back(nullptr);
  return list;
}

}  // namespace

Result<pid_t> spawn(const SpawnPlan& plan) {
  auto argv = pointers(plan.argv), environment = pointers(plan.environment);
  pid_t pid = ::fork();
  if (pid < 0) return errno_error("starting a process", errno);
  if (pid == 0) become(plan, argv.data(), environment.data());
  return pid;
}

}  // namespace berth::agent
