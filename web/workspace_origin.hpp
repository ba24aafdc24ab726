// The workspace origin (DESIGN 8): what workspaces serve, each to its own user only.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string_view>

#include "web/connection.hpp"
#include "web/upstream.hpp"

namespace berth::web {

// "/w/USER/NAME/rest": `rest` begins with '/' or is empty. nullopt: not such a path.
struct WorkspacePath {
  workspaces::WorkspaceId id;
  std::string_view rest;
};
std::optional<WorkspacePath> parse_workspace_path(std::string_view path);

boost::asio::awaitable<void> serve_workspaces(LaneServer& lane, Connection& client);

}  // namespace berth::web
