// berthd from start to stop: builds the object graph, runs the lanes, drains.
#pragma once
#include <functional>
#include <string>

#include "base/result.hpp"
#include "config/settings.hpp"

namespace berth::server {

struct DaemonOptions {
  std::string version;
  bool take_over = false;       // from the berthd that serves, if there is one; else that is an Error
  std::function<void()> ready;  // called once it serves; may be empty
};

// Runs until SIGTERM or SIGINT, or until a berthd that was replaced has nothing left to serve, and answers after an orderly end. An Error is a start
// that failed, with what to do. When it answers success the store has been flushed and closed and no thread runs any more.
Result<void> run_daemon(const Settings& settings, DaemonOptions options);

}  // namespace berth::server
