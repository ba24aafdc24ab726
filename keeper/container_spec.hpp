// What a workspace's container is made of, as Podman's REST API takes it. Pure: from settings and plan to JSON.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "keeper/engine.hpp"
#include "keeper/settings.hpp"

namespace berth::keeper {

inline constexpr std::string_view kAgentInside = "/usr/lib/berth/berth-agent";

// '.' stands in no user, workspace or instance name, so no two workspaces share a name.
std::string container_name(const Settings& settings, const WorkspaceId& id);
// At most 15 characters, begins with the settings' interface_prefix.
std::string interface_name(const Settings& settings, const WorkspaceId& id);
std::string home_inside(const WorkspaceId& id);

// Body of POST /containers/create. `image_id` is the exact image behind plan.image now. The label berth.spec holds a
// hash of all the rest: when it differs from a stopped container's, that one was made by other settings.
nlohmann::json container_spec(const Settings& settings, const Plan& plan, const std::string& image_id);
// Body of POST /networks/create.
nlohmann::json network_spec(const Settings& settings, const WorkspaceId& id);

// One step of building an environment: a container of the user's identity that sees nothing but the builder, its request, and a folder of
// the user's builds where environments lie in workspaces.
struct BuildPlan {
  std::string user, image;
  RangeBase base = 0;
  std::filesystem::path folder, request;  // mounted writable at `inside`, and read-only
  std::string inside;
  std::vector<std::string> command;  // of the builder
  bool network = false;              // then no package's code runs
};
std::string build_container_name(const Settings& settings, const std::string& user);
nlohmann::json build_container_spec(const Settings& settings, const BuildPlan& plan);
nlohmann::json build_network_spec(const Settings& settings, const std::string& user);

// nft's rules for all workspaces of this instance: nothing in them reaches the host (but its DNS) or another workspace.
std::string firewall_rules(const Settings& settings);

}  // namespace berth::keeper
