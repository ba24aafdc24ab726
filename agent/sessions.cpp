#include "agent/sessions.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "agent/spawn.hpp"
#include "agent/terminal.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent {
using nlohmann::json;

namespace {

// Room for four times the kernel's default lets a relay move more in each call. Refused over the user's quota: fine.
constexpr int kPipeBytes = 256 * 1024;

WindowSize read_window(const json& object) {
  auto side = [&](const char* key) { return static_cast<std::uint16_t>(number_field(object, key, 65535)); };
  return {side("columns"), side("rows"), side("width"), side("height")};
}

struct Plumbing {
  std::vector<FileDescriptor> theirs;  // for berthd
  FileDescriptor child_in, child_out, child_err;
  std::string terminal;
};

// Pipes, as sshd uses, and not socket pairs: programs open /dev/stdin and /dev/stderr by name, which a socket refuses, and
// bash takes a socket on stdin for rshd and reads ~/.bashrc. One pipe a direction also gives half-close for nothing.
Result<Plumbing> make_pipes() {
  Plumbing plumbing;
  int in[2], out[2], err[2];
  if (::pipe2(in, O_CLOEXEC) < 0) return errno_error("making a pipe", errno);
  plumbing.child_in.reset(in[0]);
  plumbing.theirs.emplace_back(in[1]);
  if (::pipe2(out, O_CLOEXEC) < 0) return errno_error("making a pipe", errno);
  plumbing.theirs.emplace_back(out[0]);
  plumbing.child_out.reset(out[1]);
  if (::pipe2(err, O_CLOEXEC) < 0) return errno_error("making a pipe", errno);
  plumbing.theirs.emplace_back(err[0]);
  plumbing.child_err.reset(err[1]);
  ::fcntl(in[1], F_SETPIPE_SZ, kPipeBytes);
  ::fcntl(out[1], F_SETPIPE_SZ, kPipeBytes);
  return plumbing;
}

Result<Plumbing> make_terminal(const json& pty) {
  if (!pty.is_object()) throw BadRequest("'pty' is no object");
  std::string modes;
  if (auto found = pty.find("modes"); found != pty.end() && found->is_string())
    modes = tunnels::wire::decode_bytes(found->get_ref<const std::string&>()).value_or("");
  auto terminal = open_terminal(read_window(pty), modes);
  if (!terminal) return terminal.error();
  Plumbing plumbing;
  plumbing.theirs.push_back(std::move(terminal->master));
  plumbing.child_in = std::move(terminal->slave);
  plumbing.terminal = std::move(terminal->name);
  return plumbing;
}

// argv, or `$SHELL -c command`, or a login shell, whose argv[0] begins with '-'.
void choose_program(const Request& request, const User& user, SpawnPlan& plan) {
  std::string shell_name = user.shell.substr(user.shell.find_last_of('/') + 1);
  if (request.has("argv")) {
    plan.argv = decode_list(request.fields["argv"], "argv");
    if (plan.argv.empty()) throw BadRequest("'argv' is empty");
    plan.program = plan.argv[0];
  } else if (request.has("command")) {
    plan.program = user.shell;
    plan.argv = {shell_name, "-c", request.bytes("command")};
  } else {
    plan.program = user.shell;
    plan.argv = {"-" + shell_name};
  }
}

Environment read_environment(const Request& request, const std::string& terminal) {
  Environment environment;
  if (!terminal.empty()) environment.emplace_back("TERM", decode_field(request.fields["pty"].value("term", json("dumb")), "term"));
  bool over_ssh = false;
  if (request.has("env"))
    for (auto& pair : decode_environment(request.fields["env"])) {
      over_ssh = over_ssh || pair.first == "SSH_CONNECTION";
      environment.push_back(std::move(pair));
    }
  if (over_ssh && !terminal.empty()) environment.emplace_back("SSH_TTY", terminal);
  return environment;
}

json describe_exit(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    std::string signal = name ? name : "RTMIN+" + std::to_string(WTERMSIG(status) - SIGRTMIN);
    return {{"signal", signal}, {"core", static_cast<bool>(WCOREDUMP(status))}};
  }
  return {{"code", WEXITSTATUS(status)}};
}

int signal_number(std::string_view name) {
  for (int number = 1; number < SIGRTMIN; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known && name == known) return number;
  }
  return 0;
}

}  // namespace

void Sessions::exec(const Request& request) {
  Key key{request.connection_id, request.reply.op};
  if (sessions_.contains(key)) throw BadRequest("'op' is in use");
  SpawnPlan plan;
  choose_program(request, user_, plan);
  auto plumbing = request.has("pty") ? make_terminal(request.fields["pty"]) : make_pipes();
  if (!plumbing) return request.reply.error(plumbing.error());
  Environment environment = own_activation();
  for (auto& pair : read_environment(request, plumbing->terminal)) environment.push_back(std::move(pair));
  plan.environment = make_environment(user_, ::environ, environment);
  plan.cwd = request.has("cwd") ? request.bytes("cwd") : "";
  plan.home_cwd = plan.cwd.empty();
  if (plan.home_cwd) plan.cwd = user_.home;
  plan.terminal = !plumbing->terminal.empty();
  plan.stdin_fd = plumbing->child_in.get();
  plan.stdout_fd = plan.terminal ? plan.stdin_fd : plumbing->child_out.get();
  plan.stderr_fd = plan.terminal ? plan.stdin_fd : plumbing->child_err.get();
  auto pid = spawn(plan);
  if (!pid) return request.reply.error(pid.error());
  sessions_.emplace(key, Session{*pid, plumbing->terminal});
  children_.add(*pid, [this, key, reply = request.reply](int status) { ended(key, reply, status); });
  request.reply.done({{"pid", *pid}}, std::move(plumbing->theirs));
}

void Sessions::ended(Key key, const Reply& reply, int wait_status) {
  sessions_.erase(key);
  reply.event("exit", describe_exit(wait_status));
}

const Sessions::Session* Sessions::find(const Request& request) const {
  auto found = sessions_.find({request.connection_id, request.reply.op});
  return found == sessions_.end() ? nullptr : &found->second;
}

void Sessions::resize(const Request& request) {
  auto size = read_window(request.fields);
  if (auto* session = find(request); session && !session->terminal.empty()) resize_terminal(session->terminal, size);
}

void Sessions::signal(const Request& request) {
  int number = signal_number(request.text("name"));
  if (auto* session = find(request); session && number) ::kill(-session->pid, number);
}

void Sessions::signal_all(int number) {
  for (const auto& [key, session] : sessions_) ::kill(-session.pid, number);
}

}  // namespace berth::agent
