// service, stop_service: long-running programs behind a Unix socket (Jupyter), started once for all who ask, restarted
// with back-off when they die, stopped on request.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "agent/children.hpp"
#include "agent/loop.hpp"
#include "agent/request.hpp"
#include "agent/user.hpp"

namespace berth::agent {

class Service;

class Services {
 public:
  Services(Loop& loop, Children& children, const User& user);
  ~Services();  // removes the sockets' directory
  void ensure(const Request& request);
  void stop(const Request& request);
  void stop_restarting();  // the agent is about to end them all
  nlohmann::json report() const;

 private:
  friend class Service;
  // Made at first use, mode 0700: only the workspace's own user reaches the services.
  Result<std::string> directory();
  void remove(const std::string& name);  // from the loop, after the caller has returned

  Loop& loop_;
  Children& children_;
  const User& user_;
  std::string directory_;
  bool restarting_ = true;
  std::map<std::string, std::shared_ptr<Service>> services_;
};

// The last lines of what a program wrote, bounded: kept for the message when it fails.
class LogTail {
 public:
  void add(std::string_view text);
  std::string last_lines() const;  // at most 20 lines and 4 KiB

 private:
  static constexpr std::size_t kKept = 16 * 1024;
  std::string text_;
};

}  // namespace berth::agent
