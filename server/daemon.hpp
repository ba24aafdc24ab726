// berthd from start to stop: builds the object graph, runs the lanes, drains.
#pragma once
#include <string>

#include "base/result.hpp"
#include "config/settings.hpp"

namespace berth::server {

// Runs until SIGTERM or SIGINT and answers after an orderly end. An Error is a start that failed, with what to do.
// When it answers success the store has been flushed and closed and no thread runs any more.
Result<void> run_daemon(const Settings& settings, const std::string& version);

}  // namespace berth::server
