// How a workspace's JupyterLab is started. Pure.
#pragma once
#include <string>
#include <string_view>

#include "tunnels/agent_link.hpp"
#include "workspaces/manager.hpp"

namespace berth::workspaces {

// The same for one workspace as long as the secret stays, so a running Jupyter is found again after a restart of berthd.
std::string jupyter_token(std::string_view secret, const WorkspaceId& id);
// `home`: inside the workspace. The token travels by environment: arguments are seen by every process.
tunnels::ServiceOptions jupyter_service(const WorkspaceId& id, const std::string& home, const std::string& token);

}  // namespace berth::workspaces
