// exec without a terminal, and signal: processes on three pipes that berthd made.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>

#include "agent/children.hpp"
#include "agent/request.hpp"
#include "agent/user.hpp"

namespace berth::agent {

class Sessions {
 public:
  Sessions(Children& children, const User& user) : children_(children), user_(user) {}
  void exec(const Request& request);
  bool signal(const Request& request);  // false: no process of ours
  void signal_all(int number);  // to the process group of each
  std::size_t count() const { return sessions_.size(); }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // connection, operation
  void ended(Key key, const Reply& reply, int wait_status);

  Children& children_;
  const User& user_;
  std::map<Key, pid_t> sessions_;
};

}  // namespace berth::agent
