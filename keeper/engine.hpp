// The edge to what runs workspaces: Podman, or plain processes for development.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "keeper/homes.hpp"
#include "workspaces/keeper_protocol.hpp"

namespace berth::keeper {

using workspaces::KeeperRecord;
using workspaces::WorkspaceId;
using workspaces::WorkspaceState;

// A line for the user's terminal.
using Progress = std::function<void(std::string_view line)>;

// Conda environments, the user's and the team's; empty: not offered here.
struct EnvironmentMounts {
  std::filesystem::path own, team;
};

// What is to run: everything but `id` and the choice among allowed images comes from the keeper's own settings.
struct Plan {
  WorkspaceId id;
  std::string image;
  Home home;
  std::filesystem::path agent_directory;
  EnvironmentMounts environments;
};

// Calls for one workspace never overlap (the service sees to that); calls for different ones may.
class Engine {
 public:
  virtual ~Engine() = default;
  // Finds it running, or starts it, or makes it. The record's pid is alive and checked.
  virtual boost::asio::awaitable<Result<KeeperRecord>> ensure(Plan plan, Progress progress) = 0;
  // Fine when it does not run or does not exist.
  virtual boost::asio::awaitable<Result<void>> stop(WorkspaceId id) = 0;
  virtual boost::asio::awaitable<Result<void>> remove(WorkspaceId id) = 0;
  virtual boost::asio::awaitable<Result<std::vector<KeeperRecord>>> list() = 0;
  // The version of an image's C library ("2.36"); empty where it is not known.
  virtual boost::asio::awaitable<std::string> image_glibc(std::string image) {
    (void)image;
    co_return std::string();
  }
  // After the agent's process went away: the state now, and in `detail` why.
  virtual boost::asio::awaitable<Result<KeeperRecord>> how_it_ended(WorkspaceId id) = 0;
};

}  // namespace berth::keeper
