// The records of the API as JSON (docs/api.md).
#pragma once
#include <nlohmann/json.hpp>

#include "auth/key_policy.hpp"
#include "auth/tokens.hpp"
#include "web/response.hpp"
#include "workspaces/manager.hpp"

namespace berth::web {

nlohmann::json time_json(Timestamp time);  // null when not set
nlohmann::json text_json(std::string_view text);  // null when empty
nlohmann::json to_json(const auth::User& user, std::int64_t keys);
nlohmann::json to_json(const auth::Key& key, const auth::KeyVerdict& verdict);
nlohmann::json to_json(const auth::WebSession& session, std::string_view current_id);
nlohmann::json to_json(const auth::SessionRecord& session);
nlohmann::json to_json(const auth::ApiToken& token, Timestamp now);
nlohmann::json to_json(const auth::AuditRow& row);
nlohmann::json to_json(const workspaces::WorkspaceStatus& status);

// json converts to nearly everything, so a Result of it has to be told what is meant.
inline Result<nlohmann::json> json_result(nlohmann::json value) { return Result<nlohmann::json>(boost::system::in_place_value, std::move(value)); }

// A body of JSON; what is not UTF-8 (a hostile log line) is replaced.
Response json_response(const nlohmann::json& value, int status = 200);
std::string dump_json(const nlohmann::json& value);
// {"error":{"kind","message"}}
nlohmann::json error_json(const Error& error);
// One event of a text/event-stream (WHATWG HTML 9.2.6).
std::string event_text(std::string_view name, const nlohmann::json& data);
// The head of such a stream; proxies between are asked not to hold it back.
Response event_stream_head();
// {"items":[…]}
Response list_response(nlohmann::json items);

}  // namespace berth::web
