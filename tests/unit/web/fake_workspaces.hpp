// A manager of workspaces whose agent link connects to servers that the test itself plays.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "workspaces/manager.hpp"

namespace berth::web {

// What the fake workspaces do; changed by tests, read on the lane.
struct FakeWorkspaces {
  std::mutex mutex;
  std::string jupyter_socket;
  std::string start_failure;                // not empty: open() fails with it
  std::chrono::milliseconds start_takes{0};
  bool running = true;                       // any of them
  std::set<workspaces::WorkspaceId> stopped;  // until they are opened again
  int starts = 0;
  std::vector<std::string> removed;
  std::function<void(const std::string& user)> watcher;  // set by the server at its start
};
std::unique_ptr<workspaces::Manager> make_fake_manager(FakeWorkspaces& state);

}  // namespace berth::web
