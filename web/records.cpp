#include "web/records.hpp"

#include "auth/forward_policy.hpp"
#include "auth/key_exceptions.hpp"
#include "web/pages.hpp"

namespace berth::web {

using nlohmann::json;

json time_json(Timestamp time) { return time == Timestamp{} ? json(nullptr) : json(format_timestamp(time)); }

json to_json(const auth::User& user, std::int64_t keys) {
  const bool excepted = user.key_exceptions.set_at != Timestamp{};
  return {{"name", user.name},
          {"role", auth::name_of(user.role)},
          {"disabled", user.disabled},
          {"created_at", time_json(user.created_at)},
          {"keys", keys},
          {"key_exceptions", excepted ? auth::to_json(user.key_exceptions) : json(nullptr)},
          {"forwards", user.forwards.empty() ? json(nullptr) : auth::to_json(user.forwards)}};
}

json text_json(std::string_view text) { return text.empty() ? json(nullptr) : json(text); }

json to_json(const auth::Key& key, const auth::KeyVerdict& verdict) {
  return {{"fingerprint", key.fingerprint},
          {"user", key.user},
          {"type", key.type},
          {"comment", key.comment},
          {"state", auth::name_of(verdict.state)},
          {"added_at", time_json(key.added_at)},
          {"expires_at", time_json(key.expires_at)},
          {"ends_at", time_json(verdict.ends_at)},
          {"refusal", verdict.allowed() ? json(nullptr) : json(auth::words_of(verdict.refusal))},
          {"notice", text_json(auth::name_of(verdict.notice))},
          {"superseded_at", time_json(key.superseded_at)},
          {"successor", text_json(key.successor)},
          {"retire_on_first_use", key.retire_on_first_use},
          {"revoked_at", time_json(key.revoked_at)},
          {"last_used_at", time_json(key.last_used_at)},
          {"last_used_from", key.last_used_from},
          {"options", key.options}};
}

json to_json(const auth::WebSession& session, std::string_view current_id) {
  return {{"id", session.id},
          {"user", session.user},
          {"key_fingerprint", session.key_fingerprint},
          {"address", session.address},
          {"user_agent", session.user_agent},
          {"created_at", time_json(session.created_at)},
          {"last_seen_at", time_json(session.last_seen_at)},
          {"expires_at", time_json(session.expires_at)},
          {"current", session.id == current_id}};
}

json to_json(const auth::SessionRecord& session) {
  return {{"id", session.id},
          {"user", session.user},
          {"workspace", session.workspace},
          {"kind", session.kind},
          {"detail", session.detail},
          {"key_fingerprint", session.key_fingerprint},
          {"certificate", session.certificate},
          {"client_address", session.client_address},
          {"opened_at", time_json(session.opened_at)},
          {"closed_at", time_json(session.closed_at)},
          {"bytes_in", session.bytes_in},
          {"bytes_out", session.bytes_out},
          {"outcome", session.outcome}};
}

json to_json(const auth::ApiToken& token, Timestamp now) {
  json scopes = json::array();
  for (std::string_view rest = token.scopes; !rest.empty();) {
    const std::size_t end = rest.find(' ');
    scopes.push_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  const char* state = token.revoked_at != Timestamp{} ? "revoked" : token.expires_at <= now ? "expired" : token.usable ? "active" : "dead";
  return {{"id", token.id},
          {"name", token.name},
          {"user", token.user},
          {"key_fingerprint", token.key_fingerprint},
          {"scopes", std::move(scopes)},
          {"state", state},
          {"created_at", time_json(token.created_at)},
          {"expires_at", time_json(token.expires_at)},
          {"revoked_at", time_json(token.revoked_at)},
          {"last_used_at", time_json(token.last_used_at)},
          {"last_used_from", token.last_used_from}};
}

json to_json(const auth::AuditRow& row) {
  return {{"number", row.number}, {"at", time_json(row.at)},   {"actor", row.actor},     {"source", row.source}, {"key_fingerprint", row.key_fingerprint},
          {"action", row.action}, {"object", row.object}, {"outcome", row.outcome}, {"hash", row.hash}};
}

json to_json(const workspaces::WorkspaceStatus& status) {
  return {{"user", status.id.user},
          {"name", status.id.name},
          {"state", workspaces::name_of(status.state)},
          {"image", status.image},
          {"detail", status.detail},
          {"created_at", time_json(status.created_at)},
          {"started_at", time_json(status.started_at)},
          {"jupyter_url", "/w/" + status.id.user + "/" + status.id.name + "/jupyter/lab"}};
}

std::string dump_json(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

Response json_response(const json& value, int status) {
  Response response;
  response.status = status;
  response.body = dump_json(value);
  return response;
}

json error_json(const Error& error) { return {{"error", {{"kind", name_of(error.kind)}, {"message", error.message}}}}; }

std::string event_text(std::string_view name, const json& data) { return "event: " + std::string(name) + "\ndata: " + dump_json(data) + "\n\n"; }

Response event_stream_head() {
  Response head;
  head.content_type = "text/event-stream";
  head.headers.emplace_back("X-Accel-Buffering", "no");
  add_security_headers(head, false);
  return head;
}

Response list_response(json items) { return json_response({{"items", std::move(items)}}); }

}  // namespace berth::web
