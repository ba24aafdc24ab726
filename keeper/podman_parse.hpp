// Reads Podman's answers. Pure.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "workspaces/keeper_protocol.hpp"

namespace berth::keeper {

// "2026-11-22T18:19:06.779621821Z" or with "+01:00"; zero for anything else and for Go's year 1.
Timestamp podman_time(std::string_view text);
workspaces::WorkspaceState podman_state(std::string_view text);
// Fills state, pid, times, image and detail from an answer of /containers/NAME/json; id is the caller's.
void fill_from_inspect(workspaces::KeeperRecord& record, const nlohmann::json& container);
// The same from one entry of /containers/json, id included. False when the entry is none of ours.
bool fill_from_list(workspaces::KeeperRecord& record, const nlohmann::json& entry);
// "2.36" out of the file of a C library, as the GNU one names itself; empty for any other.
std::string glibc_version_in(std::string_view file);
// Where the symlink leads that is the first in a tar archive; empty where that is something else.
std::string tar_link_target(std::string_view archive);
std::string label_of(const nlohmann::json& labels, const char* name);

}  // namespace berth::keeper
