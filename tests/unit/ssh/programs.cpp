#include "tests/unit/ssh/programs.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "base/handles.hpp"
#include "server/ssh/session.hpp"

extern char** environ;

namespace berth::ssh::test {
namespace {

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
void write_file(const std::string& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

pid_t spawn(const std::vector<std::string>& command, int in, int out, int err) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawnattr_t attributes;  // the child gets the SIGPIPE back that the tests ignore
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failed == 0 ? pid : -1;
}

Finished run(const std::vector<std::string>& command, std::string_view input) {
  const TempDir directory;
  write_file(directory / "in", input);
  FileDescriptor in(open((directory / "in").c_str(), O_RDONLY | O_CLOEXEC));
  FileDescriptor out(open((directory / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  FileDescriptor err(open((directory / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  std::vector<std::string> limited = {"timeout", "-k", "5", "60"};
  limited.insert(limited.end(), command.begin(), command.end());
  const pid_t pid = spawn(limited, in.get(), out.get(), err.get());
  int status = 0;
  waitpid(pid, &status, 0);
  return {exit_code(status), read_file(directory / "out"), read_file(directory / "err")};
}

std::string make_key(const std::string& file, const std::string& type) {
  const Finished made = run({"ssh-keygen", "-q", "-N", "", "-t", type, "-f", file});
  if (made.code != 0) throw std::runtime_error("ssh-keygen: " + made.err);
  return public_half(read_file(file)).value().blob;
}

}  // namespace berth::ssh::test
