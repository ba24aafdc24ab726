#include "agent/sessions.hpp"

#include <csignal>

#include "agent/program.hpp"
#include "agent/pty_session.hpp"

namespace berth::agent {

void Sessions::exec(const Request& request) {
  Key key{request.connection_id, request.reply.op};
  if (sessions_.contains(key)) throw BadRequest("'op' is in use");
  if (request.descriptors.size() != 3) throw BadRequest("three pipes must come with it");
  SpawnPlan plan = plan_program(request, user_, "");
  plan.stdin_fd = request.descriptors[0].get();
  plan.stdout_fd = request.descriptors[1].get();
  plan.stderr_fd = request.descriptors[2].get();
  auto pid = spawn(plan);
  if (!pid) return request.reply.error(pid.error());
  sessions_.emplace(key, *pid);
  children_.add(*pid, [this, key, reply = request.reply](int status) {
    sessions_.erase(key);
    reply.event("exit", describe_exit(status));
  });
  request.reply.done({{"pid", *pid}});
}

bool Sessions::signal(const Request& request) {
  auto found = sessions_.find({request.connection_id, request.reply.op});
  if (found == sessions_.end()) return false;
  if (int number = signal_number(request.text("name"))) ::kill(-found->second, number);
  return true;
}

void Sessions::signal_all(int number) {
  for (const auto& [key, pid] : sessions_) ::kill(-pid, number);
}

}  // namespace berth::agent
