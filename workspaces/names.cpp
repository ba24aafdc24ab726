#include "workspaces/names.hpp"

#include <algorithm>

#include "workspaces/manager.hpp"

namespace berth::workspaces {
namespace {

// Debian's system accounts, and names with a meaning in Berth's own paths and commands.
constexpr std::string_view kReserved[] = {"root",   "daemon", "bin",  "sys",      "sync",   "games",   "man",    "lp",     "mail",
                                          "news",   "uucp",   "proxy", "backup",  "list",   "irc",     "gnats",  "nobody", "sshd",
                                          "messagebus", "www-data", "systemd-network", "systemd-resolve", "berth", "berthd",
                                          "berth-keeper", "admin", "api", "team"};

}  // namespace

bool is_workspace_name(std::string_view name) {
  if (name.empty() || name.size() > 32 || name.front() < 'a' || name.front() > 'z') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

bool is_user_name(std::string_view name) {
  return is_workspace_name(name) && std::find(std::begin(kReserved), std::end(kReserved), name) == std::end(kReserved);
}

Result<WorkspaceId> parse_login_name(std::string_view login) {
  const std::size_t plus = login.find('+');
  WorkspaceId id{std::string(login.substr(0, plus)), "main"};
  if (plus != std::string_view::npos) id.name = login.substr(plus + 1);
  if (!is_user_name(id.user)) return Error{ErrorKind::invalid, "this is not a user name of Berth"};
  if (!is_workspace_name(id.name)) {
    return Error{ErrorKind::invalid, "a workspace name has a to z, 0 to 9, _ and -, begins with a letter, and is at most 32 long"};
  }
  return id;
}

std::string_view name_of(WorkspaceState state) {
  switch (state) {
    case WorkspaceState::stopped: return "stopped";
    case WorkspaceState::starting: return "starting";
    case WorkspaceState::running: return "running";
    case WorkspaceState::stopping: return "stopping";
    case WorkspaceState::failed: return "failed";
  }
  return "failed";
}

}  // namespace berth::workspaces
