// exec, resize, signal: processes that a user started through Berth, each the leader of a session of its own.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "agent/children.hpp"
#include "agent/request.hpp"
#include "agent/user.hpp"

namespace berth::agent {

class Sessions {
 public:
  Sessions(Children& children, const User& user) : children_(children), user_(user) {}
  void exec(const Request& request);
  void resize(const Request& request);
  void signal(const Request& request);
  void signal_all(int number);  // to the process group of each
  std::size_t count() const { return sessions_.size(); }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // connection, operation
  struct Session {
    pid_t pid;
    std::string terminal;  // "" without one
  };
  const Session* find(const Request& request) const;
  void ended(Key key, const Reply& reply, int wait_status);

  Children& children_;
  const User& user_;
  std::map<Key, Session> sessions_;
};

}  // namespace berth::agent
