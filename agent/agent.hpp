// The agent: takes berthd's requests, runs what they ask for, reaps, and ends everything at SIGTERM.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "agent/children.hpp"
#include "agent/connection.hpp"
#include "agent/dialer.hpp"
#include "agent/loop.hpp"
#include "agent/services.hpp"
#include "agent/sessions.hpp"
#include "agent/sockets.hpp"
#include "agent/terminals.hpp"
#include "agent/user.hpp"

namespace berth::agent {

class Agent {
 public:
  Agent(Loop& loop, std::string socket_path, User user);
  void start();  // dials
  // One message of berthd. Whatever it is, the agent lives on: what it does not understand is answered with an error.
  void handle(const std::shared_ptr<Connection>& connection, std::string_view text, Descriptors descriptors = {});
  void child_ended();  // SIGCHLD
  void stop();         // SIGTERM: hang up, terminate, after a grace kill; the loop stops when all are gone

  void exec(const Request& request);
  void resize(const Request& request) { terminals_.resize(request); }
  void signal(const Request& request);
  void terminals(const Request& request) { terminals_.list(request); }
  void attach(const Request& request) { terminals_.attach(request); }
  void hangup(const Request& request) { terminals_.hang_up(request); }
  void connect(const Request& request) { sockets_.connect(request); }
  void listen(const Request& request) { sockets_.listen(request); }
  void credit(const Request& request) { sockets_.credit(request); }
  void close(const Request& request) { sockets_.close(request); }
  void service(const Request& request) { services_.ensure(request); }
  void stop_service(const Request& request) { services_.stop(request); }
  void report(const Request& request);
  void dial_another(const Request& request) { dialer_.dial_another(request.connection_id); }

 private:
  void terminate_all();
  void kill_all();

  Loop& loop_;
  User user_;
  Children children_;
  Sessions sessions_;
  Terminals terminals_;
  Sockets sockets_;
  Services services_;
  Dialer dialer_;
  bool stopping_ = false;
};

}  // namespace berth::agent
