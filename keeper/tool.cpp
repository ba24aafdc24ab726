#include "keeper/tool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/handles.hpp"

namespace berth::keeper {
namespace {

// An anonymous file, so that neither side can block on a full pipe.
Result<FileDescriptor> scratch(std::string_view content) {
  FileDescriptor file(::memfd_create("berth-tool", MFD_CLOEXEC));
  if (!file) return errno_error("memfd", errno);
  if (::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()) || ::lseek(file.get(), 0, SEEK_SET) < 0) {
    return errno_error("memfd", errno);
  }
  return file;
}

std::string content_of(const FileDescriptor& file) {
  std::string text(2000, '\0');
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Result<int> wait_for(pid_t pid, std::chrono::milliseconds limit) {
  FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ready{handle.get(), POLLIN, 0};
  const bool in_time = handle && ::poll(&ready, 1, static_cast<int>(limit.count())) == 1;
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return Error{ErrorKind::timeout, "did not end in time"};
  return status;
}

}  // namespace

Result<void> run_tool(const std::vector<std::string>& argv, std::string_view input, std::chrono::milliseconds limit) {
  auto in = scratch(input), out = scratch("");
  if (in.has_error()) return in.error();
  if (out.has_error()) return out.error();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in->get(), 0);
  posix_spawn_file_actions_adddup2(&actions, out->get(), 1);
  posix_spawn_file_actions_adddup2(&actions, out->get(), 2);
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, arguments.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return errno_error(argv[0], failed);
  const auto status = wait_for(pid, limit);
  if (status.has_error()) return Error{status.error().kind, argv[0] + " " + status.error().message};
  if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return {};
  return Error{ErrorKind::internal, argv[0] + ": " + content_of(*out)};
}

}  // namespace berth::keeper
