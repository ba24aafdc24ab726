#include "agent/program.hpp"

#include <unistd.h>

#include <csignal>
#include <cstring>

namespace berth::agent {
using nlohmann::json;

namespace {

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

}  // namespace

SpawnPlan plan_program(const Request& request, const User& user, const std::string& terminal) {
  SpawnPlan plan;
  choose_program(request, user, plan);
  Environment environment = own_activation();
  for (auto& pair : read_environment(request, terminal)) environment.push_back(std::move(pair));
  plan.environment = make_environment(user, ::environ, environment);
  plan.cwd = request.has("cwd") ? request.bytes("cwd") : "";
  plan.home_cwd = plan.cwd.empty();
  if (plan.home_cwd) plan.cwd = user.home;
  plan.terminal = !terminal.empty();
  return plan;
}

int signal_number(std::string_view name) {
  for (int number = 1; number < SIGRTMIN; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known && name == known) return number;
  }
  return 0;
}

}  // namespace berth::agent
