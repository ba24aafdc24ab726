// Which names users and workspaces may have. Both end up in paths, container names and labels, so berthd and
// berth-keeper each check them by this.
#pragma once
#include <string_view>

namespace berth::workspaces {

// [a-z][a-z0-9_-]{0,31}
bool is_workspace_name(std::string_view name);
// The same, and not a name of the system ("root", "daemon", …) or of Berth itself.
bool is_user_name(std::string_view name);

}  // namespace berth::workspaces
