#include "agent/agent.hpp"

#include <csignal>

#include "agent/proc_tree.hpp"
#include "agent/request.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent {
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kHangupToTerm{200}, kTermToKill{5000}, kKillAgain{100};

struct Operation {
  std::string_view type;
  void (Agent::*run)(const Request&);
  bool starts_something;  // refused while the agent stops
};

constexpr Operation kOperations[] = {
    {"exec", &Agent::exec, true},
    {"resize", &Agent::resize, false},
    {"signal", &Agent::signal, false},
    {"terminals", &Agent::terminals, false},
    {"attach", &Agent::attach, true},
    {"hangup", &Agent::hangup, false},
    {"connect", &Agent::connect, true},
    {"listen", &Agent::listen, true},
    {"credit", &Agent::credit, false},
    {"close", &Agent::close, false},
    {"service", &Agent::service, true},
    {"stop_service", &Agent::stop_service, false},
    {"report", &Agent::report, false},
    {"dial_another", &Agent::dial_another, false},
};

const Operation* find_operation(std::string_view type) {
  for (const auto& operation : kOperations)
    if (operation.type == type) return &operation;
  return nullptr;
}

void signal_descendants(int number) {
  for (const auto& process : descendants()) ::kill(process.pid, number);
}

}  // namespace

Agent::Agent(Loop& loop, std::string socket_path, User user)
    : loop_(loop), user_(std::move(user)), sessions_(children_, user_), terminals_(loop, children_, user_), sockets_(loop), services_(loop, children_, user_),
      dialer_(loop, std::move(socket_path),
              {[this](const auto& connection, std::string_view text, Descriptors descriptors) { handle(connection, text, std::move(descriptors)); },
               [this](const auto& connection) { sockets_.connection_lost(connection->id()); }}) {}

void Agent::start() { dialer_.start(); }

void Agent::handle(const std::shared_ptr<Connection>& connection, std::string_view text, Descriptors descriptors) {
  Reply reply{connection, 0};
  try {
    if (!tunnels::wire::shallow(text)) throw BadRequest("the message nests too deeply");
    json message = json::parse(text, nullptr, false);
    if (!message.is_object()) throw BadRequest("the message is no JSON object");
    Request request{message, reply, connection->id(), descriptors};
    request.reply.op = reply.op = request.number("op", UINT64_MAX);
    const Operation* operation = find_operation(request.text("type"));
    if (!operation) throw BadRequest("unknown operation '" + request.text("type").substr(0, 64) + "'");
    if (stopping_ && operation->starts_something) return reply.error({ErrorKind::unavailable, "the workspace is stopping"});
    (this->*operation->run)(request);
  } catch (const BadRequest& bad) {
    reply.error({ErrorKind::invalid, bad.what()});
  } catch (const std::exception& failure) {  // out of memory, or a bug: PID 1 must not end for either
    reply.error({ErrorKind::internal, failure.what()});
  }
}

void Agent::exec(const Request& request) {
  if (request.has("pty")) terminals_.exec(request);
  else sessions_.exec(request);
}

void Agent::signal(const Request& request) {
  if (!sessions_.signal(request)) terminals_.signal(request);
}

void Agent::report(const Request& request) {
  Usage usage = measure_usage();
  request.reply.done({{"cpu_us", usage.cpu_us}, {"memory_bytes", usage.memory_bytes}, {"processes", usage.processes},
                      {"load1", usage.load1}, {"sessions", sessions_.count() + terminals_.count()}, {"services", services_.report()}});
}

void Agent::child_ended() {
  bool some_left = children_.reap();
  if (stopping_ && !some_left) loop_.stop();
}

void Agent::stop() {
  if (stopping_) return;
  stopping_ = true;
  services_.stop_restarting();
  for (int number : {SIGHUP, SIGCONT}) {  // a stopped job must run to see the hang-up
    sessions_.signal_all(number);
    terminals_.signal_all(number);
  }
  loop_.after(kHangupToTerm, [this] { terminate_all(); });
  child_ended();
}

void Agent::terminate_all() {
  signal_descendants(SIGTERM);
  signal_descendants(SIGCONT);
  loop_.after(kTermToKill, [this] { kill_all(); });
}

void Agent::kill_all() {
  signal_descendants(SIGKILL);
  child_ended();
  loop_.after(kKillAgain, [this] { kill_all(); });  // what was being forked meanwhile
}

}  // namespace berth::agent
