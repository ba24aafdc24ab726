// The records of the HTTP API (docs/api.md) as people read them: tables and fields. `berth` prints them, and the gateway does for
// `ssh box berth …`. A field that is missing or of another type shows as empty; nothing here throws on hostile records.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/clock.hpp"
#include "base/table.hpp"

namespace berth::views {

// Each takes the array of "items"; without items the answer is the empty string.
std::string users(const nlohmann::json& items, Timestamp now, const TextStyle& style);
std::string keys(const nlohmann::json& items, Timestamp now, const TextStyle& style);
std::string workspaces(const nlohmann::json& items, Timestamp now, const TextStyle& style);
// `history`: with the columns of sessions that have ended.
std::string sessions(const nlohmann::json& items, Timestamp now, const TextStyle& style, bool history);
std::string web_sessions(const nlohmann::json& items, Timestamp now, const TextStyle& style);
std::string shares(const nlohmann::json& items, Timestamp now, const TextStyle& style);
std::string tokens(const nlohmann::json& items, Timestamp now, const TextStyle& style);
std::string audit(const nlohmann::json& items, const TextStyle& style);

// One row as a line of its own; and with all its fields.
std::string audit_line(const nlohmann::json& row, const TextStyle& style);
std::string audit_row(const nlohmann::json& row, const TextStyle& style);

// A User with its "key_list".
std::string user(const nlohmann::json& user, Timestamp now, const TextStyle& style);
// The answer of GET /ssh/whoami.
std::string whoami(const nlohmann::json& me, Timestamp now, const TextStyle& style);
// The answer of GET /keys/…/impact: what ends with a key, and what its user keeps.
std::string key_impact(const nlohmann::json& impact, Timestamp now, const TextStyle& style);
// A Campaign: a bar, and who has replaced their keys and who has not.
std::string campaign(const nlohmann::json& campaign, Timestamp now, const TextStyle& style);
// Users with exceptions from the policy of keys.
std::string key_exceptions(const nlohmann::json& users, Timestamp now, const TextStyle& style);
// The answer of GET /status.
std::string status(const nlohmann::json& status, const TextStyle& style);

// How people write a workspace: "ada" for main, "ada+nlp" for another.
std::string workspace_name(const nlohmann::json& record);

}  // namespace berth::views
