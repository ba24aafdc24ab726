// exec with a pty, resize, terminals, attach, hangup: the terminals of the workspace. They belong to no connection.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "agent/children.hpp"
#include "agent/pty_session.hpp"
#include "agent/request.hpp"
#include "agent/user.hpp"

namespace berth::agent {

class Terminals {
 public:
  Terminals(Loop& loop, Children& children, const User& user) : loop_(loop), children_(children), user_(user) {}
  void exec(const Request& request);
  void resize(const Request& request);
  void signal(const Request& request);
  void attach(const Request& request);
  void list(const Request& request) const;
  void hang_up(const Request& request);
  void signal_all(int number);  // to the process group of each
  std::size_t count() const { return terminals_.size(); }

 private:
  static constexpr std::size_t kMostOutput = 64 * 1024 * 1024;  // kept by all together
  static constexpr std::size_t kMostKept = 64;                  // terminals that outlive their viewers
  using Map = std::map<std::string, std::unique_ptr<PtySession>>;
  PtySession* find(const Request& request);  // the one that the operation looks at
  std::string new_id() const;
  void bound_output();

  Loop& loop_;
  Children& children_;
  const User& user_;
  Map terminals_;
};

}  // namespace berth::agent
