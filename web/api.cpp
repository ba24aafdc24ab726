#include "web/api.hpp"

#include <openssl/hmac.h>

#include <charconv>

#include "auth/audit.hpp"
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"
#include "web/scopes.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

// Bodies that may be larger than the others, in bytes.
struct BodyLimit {
  ApiHandler handler;
  std::size_t bytes;
};
constexpr BodyLimit kBodyLimits[] = {
    {post_revocations, 6 * 1024 * 1024},       // a revocation list of 4 MiB as base64
    {post_environment_plan, 6 * 1024 * 1024},  // a lock of 4 MiB as a text in JSON
    {post_environments_check, 6 * 1024 * 1024},
};

constexpr Route kRoutes[] = {
    {"GET", "/openapi.json", Need::anyone, get_openapi},
    {"GET", "/me", Need::user, get_me},
    {"POST", "/login/link", Need::anyone, post_login_link, kByBrowser},
    {"POST", "/login/code", Need::anyone, post_login_code, kByBrowser},
    {"GET", "/login/code", Need::anyone, get_login_code, kByBrowser},
    {"POST", "/logout", Need::user, post_logout, kByBrowser},
    {"POST", "/ssh/link", Need::user, post_ssh_link, kBySsh},
    {"POST", "/ssh/approve", Need::user, post_ssh_approve, kBySsh},
    {"GET", "/ssh/whoami", Need::user, get_ssh_whoami, kBySsh},
    {"GET", "/web-sessions", Need::user, get_web_sessions},
    {"DELETE", "/web-sessions/{id}", Need::user, delete_web_session},
    {"GET", "/workspaces", Need::user, get_workspaces},
    {"POST", "/workspaces/{user}/{name}/start", Need::user, post_start},
    {"POST", "/workspaces/{user}/{name}/stop", Need::user, post_stop},
    {"POST", "/workspaces/{user}/{name}/reset", Need::user, post_reset},
    {"DELETE", "/workspaces/{user}/{name}", Need::user, delete_workspace},
    {"GET", "/workspaces/{user}/{name}/image", Need::user, get_workspace_image},
    {"POST", "/workspaces/{user}/{name}/image", Need::user, post_workspace_image},
    {"GET", "/shares", Need::user, get_shares},
    {"POST", "/shares", Need::user, post_share, kByBrowser | kBySsh | kByToken},  // it rests on a key
    {"DELETE", "/shares/{id}", Need::user, delete_share},
    {"GET", "/environments", Need::user, get_environments},
    {"GET", "/environments/{user}/{name}", Need::user, get_environment},
    {"DELETE", "/environments/{user}/{name}", Need::user, delete_environment},
    {"GET", "/environments/{user}/{name}/revisions/{number}", Need::user, get_environment_revision},
    {"GET", "/environments/{user}/{name}/diff", Need::user, get_environment_diff},
    {"GET", "/environments/{user}/{name}/export", Need::user, get_environment_export},
    {"POST", "/environments/{user}/{name}/plan", Need::user, post_environment_plan},
    {"POST", "/environments/{user}/{name}/install", Need::user, post_environment_install},
    {"POST", "/environments/{user}/{name}/verify", Need::user, post_environment_verify},
    {"POST", "/environments/{user}/{name}/rollback", Need::user, post_environment_rollback},
    {"POST", "/environments/{user}/{name}/default", Need::user, post_environment_default},
    {"POST", "/environments/{user}/{name}/share", Need::user, post_environment_share},
    {"POST", "/environments/{user}/{name}/maintainers/{maintainer}", Need::user, post_environment_maintainer},
    {"DELETE", "/environments/{user}/{name}/maintainers/{maintainer}", Need::user, delete_environment_maintainer},
    {"GET", "/environments-used", Need::user, get_environments_used},
    {"POST", "/environments-check", Need::user, post_environments_check},
    {"POST", "/environments-gc", Need::user, post_environments_gc},
    {"GET", "/workspaces/{user}/{name}/terminals", Need::user, get_terminals},
    {"DELETE", "/workspaces/{user}/{name}/terminals/{id}", Need::user, delete_terminal},
    {"GET", "/workspaces/{user}/{name}/terminal", Need::user, get_terminal},
    {"GET", "/keys", Need::user, get_keys},
    {"GET", "/keys/{fingerprint}", Need::user, get_key},
    {"GET", "/keys/{fingerprint}/impact", Need::user, get_key_impact},
    {"DELETE", "/keys/{fingerprint}", Need::user, delete_key},
    {"GET", "/policy/keys", Need::user, get_key_policy},
    {"GET", "/notices", Need::user, get_notices},
    {"GET", "/campaign", Need::auditor, get_campaign},
    {"POST", "/campaign", Need::admin, post_campaign},
    {"DELETE", "/campaign", Need::admin, delete_campaign},
    {"GET", "/users", Need::auditor, get_users},
    {"POST", "/users", Need::admin, post_user},
    {"GET", "/users/{name}", Need::auditor, get_user},
    {"PATCH", "/users/{name}", Need::admin, patch_user},
    {"DELETE", "/users/{name}", Need::admin, delete_user},
    {"POST", "/users/{name}/keys", Need::user, post_key},
    {"POST", "/users/{name}/keys/rotate", Need::user, post_rotation},
    {"GET", "/sessions", Need::user, get_sessions},
    {"DELETE", "/sessions/{id}", Need::user, delete_session},
    {"GET", "/tokens", Need::user, get_tokens},
    {"POST", "/tokens", Need::user, post_token, kByBrowser | kBySsh},  // a token makes no token
    {"DELETE", "/tokens/{id}", Need::user, delete_token},
    {"GET", "/host-keys", Need::anyone, get_host_keys},
    {"POST", "/host-keys", Need::admin, post_host_key},
    {"DELETE", "/host-keys/{fingerprint}", Need::admin, delete_host_key},
    {"GET", "/authorities", Need::auditor, get_authorities},
    {"POST", "/authorities", Need::admin, post_authority},
    {"DELETE", "/authorities/{name}", Need::admin, delete_authority},
    {"GET", "/authorities/{name}/revocations", Need::auditor, get_revocations},
    {"POST", "/authorities/{name}/revocations", Need::admin, post_revocations},
    {"POST", "/certificates", Need::user, post_certificate, kByAdminSocket | kBySsh},
    {"GET", "/status", Need::auditor, get_status},
    {"GET", "/audit", Need::auditor, get_audit},
    {"GET", "/audit/verify", Need::auditor, get_audit_verify},
    {"GET", "/settings", Need::auditor, get_settings},
    {"GET", "/events", Need::user, get_events, kByBrowser | kByAdminSocket},
    {"GET", "/audit/export", Need::auditor, get_audit_export},
    {"GET", "/audit/{number}", Need::auditor, get_audit_row},
    {"GET", "/backup", Need::admin, get_backup, kByAdminSocket},
};

bool meets(const Caller& caller, Need need) {
  switch (need) {
    case Need::anyone:
    case Need::user: return true;  // being known is checked before
    case Need::auditor: return caller.reads_all();
    case Need::admin: return caller.is_admin();
  }
  return false;
}

// What a browser must show to change something: our own origin, and (when logged in) the token that only our pages can read.
std::optional<Response> refuse_forgery(const LaneServer& lane, const Connection& client, const Caller& caller, Need need) {
  const RequestHead& head = client.head;
  if (caller.via != Via::browser || head.method == "GET" || head.method == "HEAD") return std::nullopt;
  const std::string_view origin = head.find(Name::origin);
  if (origin.empty() || !lane.shared.origins.is_own(origin, Face::portal, head.host, client.secure))
    return error_response(403, "denied", "This request did not come from Berth's own pages (Origin).");
  if (need != Need::anyone && !equal_in_constant_time(head.find(Name::x_berth_csrf), csrf_token(lane, caller.cookie)))
    return error_response(403, "denied", "The X-Berth-CSRF header is missing or wrong; reload the page.");
  return std::nullopt;
}

struct Found { const Route* route; std::vector<std::string> params; std::string other_methods; };

Found find_route(std::string_view method, std::string_view path) {
  Found found{nullptr, {}, {}};
  for (const Route& route : kRoutes) {
    auto params = match_pattern(route.pattern, path);
    if (!params) continue;
    if (route.method == method || (route.method == "GET" && method == "HEAD")) return {&route, std::move(*params), {}};
    found.other_methods += (found.other_methods.empty() ? "" : ", ") + std::string(route.method);
  }
  return found;
}

std::string_view other_way(Faces faces, Via via) {
  if (faces == kByAdminSocket) return "Only the admin socket of the machine answers this.";
  if ((faces & kByToken) == 0 && via == Via::token) return "An API token cannot be used for this.";
  if (faces == kBySsh) return "This works by SSH only: ssh HOST berth …";
  return faces == kByBrowser ? "This is for browsers." : "This is not answered here.";
}

// Everything that is decided before a handler runs. nullopt: go on.
std::optional<Response> refuse(const LaneServer& lane, const Connection& client, const Caller& caller, const Found& found) {
  if (!found.route && found.other_methods.empty()) return error_response(404, "not_found", "There is no such path in the API.");
  if (!found.route) {
    Response response = error_response(405, "invalid", "This path does not answer this method.");
    response.headers.emplace_back("Allow", found.other_methods);
    return response;
  }
  if (found.route->need != Need::anyone && caller.actor.name.empty()) return error_response(401, "denied", "Log in first.");
  if ((found.route->faces & face_of(caller.via)) == 0) return error_response(403, "denied", other_way(found.route->faces, caller.via));
  if (auto forged = refuse_forgery(lane, client, caller, found.route->need)) return forged;
  if (caller.via == Via::token && !scopes_allow(caller.scopes, *found.route)) return error_response(403, "denied", "The token's scopes do not allow this.");
  if (!meets(caller, found.route->need)) return error_response(403, "denied", "Your role does not allow this.");
  return std::nullopt;
}

// A refusal to somebody known is a decision about access. Strangers (401) are told apart at their login.
void note_refusal(const LaneServer& lane, const auth::Actor& actor, std::string_view method, std::string_view pattern, std::string_view why) {
  if (actor.name.empty()) return;
  lane.services().audit.note_refusal(actor, "api.refused", std::string(method) + " " + std::string(pattern), std::string(why));
}

asio::awaitable<Result<nlohmann::json>> read_json(Connection& client, std::size_t limit) {
  auto text = co_await client.read_body(limit);
  if (!text) co_return text.error();
  if (text->empty()) co_return json_result(nlohmann::json::object());
  auto parsed = nlohmann::json::parse(*text, nullptr, false);
  if (!parsed.is_object()) co_return Error{ErrorKind::invalid, "the request body is not a JSON object"};
  co_return json_result(std::move(parsed));
}

asio::awaitable<ApiReply> call_handler(LaneServer& lane, Connection& client, Caller caller, Found found) {
  std::size_t limit = lane.limits().api_body_bytes;
  for (const BodyLimit& larger : kBodyLimits) {
    if (larger.handler == found.route->handler) limit = larger.bytes;
  }
  auto body = co_await read_json(client, limit);
  if (!body && body.error().kind == ErrorKind::timeout) co_return error_response(408, "timeout", "The request body took too long to arrive.");
  if (!body) co_return body.error();
  ApiCall call{lane, client, std::move(caller), std::move(found.params), std::move(*body)};
  co_return co_await found.route->handler(call);
}

}  // namespace

std::span<const Route> api_routes() { return kRoutes; }

std::optional<std::vector<std::string>> match_pattern(std::string_view pattern, std::string_view path) {
  std::vector<std::string> params;
  while (true) {
    if (pattern.empty() || path.empty()) return pattern.empty() && path.empty() ? std::optional(std::move(params)) : std::nullopt;
    if (pattern.front() != '/' || path.front() != '/') return std::nullopt;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
    const std::string_view wanted = pattern.substr(0, pattern.find('/')), got = path.substr(0, path.find('/'));
    if (wanted.starts_with('{')) {
      auto decoded = percent_decode(got);
      if (!decoded || decoded->empty()) return std::nullopt;
      params.push_back(std::move(*decoded));
    } else if (wanted != got) {
      return std::nullopt;
    }
    pattern.remove_prefix(wanted.size());
    path.remove_prefix(got.size());
  }
}

std::optional<std::string> ApiCall::query(std::string_view name) const { return query_value(client.head.query(), name); }

std::size_t ApiCall::query_number(std::string_view name, std::size_t fallback, std::size_t max) const {
  const auto text = query(name);
  std::size_t number = 0;
  if (!text) return fallback;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size() || number == 0) return fallback;
  return std::min(number, max);
}

Result<std::optional<std::int64_t>> ApiCall::number(std::string_view name) const {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return std::optional<std::int64_t>();
  if (!found->is_number_integer()) return Error{ErrorKind::invalid, "'" + std::string(name) + "' is not a whole number"};
  return std::optional(found->get<std::int64_t>());
}

Result<bool> ApiCall::flag(std::string_view name, bool fallback) const {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return fallback;
  if (!found->is_boolean()) return Error{ErrorKind::invalid, "'" + std::string(name) + "' is not true or false"};
  return found->get<bool>();
}

void ApiCall::audit(std::string action, std::string object, const Result<void>& outcome) const {
  lane.services().audit.note(caller.actor, std::move(action), std::move(object), outcome ? "ok" : outcome.error().message);
}

Result<std::string> ApiCall::text(std::string_view name, std::optional<std::string> fallback) const {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) {
    if (fallback) return *fallback;
    return Error{ErrorKind::invalid, "'" + std::string(name) + "' is missing"};
  }
  if (!found->is_string()) return Error{ErrorKind::invalid, "'" + std::string(name) + "' is not a string"};
  return found->get<std::string>();
}

std::string csrf_token(const LaneServer& lane, std::string_view cookie) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const std::string bound = "csrf:" + std::string(cookie);
  const std::string& secret = lane.shared.csrf_secret;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(bound.data()), bound.size(), digest, &size);
  return hex_encode({reinterpret_cast<const char*>(digest), size});
}

asio::awaitable<void> serve_api(LaneServer& lane, Connection& client, Caller caller) {
  Found found = find_route(client.head.method, client.head.path().substr(kApiPrefix.size()));
  auto refused = refuse(lane, client, caller, found);
  const auth::Actor actor = caller.actor;
  const std::string_view pattern = found.route ? found.route->pattern : std::string_view{};
  if (refused) {
    if (refused->status == 403) note_refusal(lane, actor, client.head.method, pattern, "role, scope, face or origin");
    add_security_headers(*refused, false);
    (void)co_await client.send(std::move(*refused));
    co_return;
  }
  // The body ends the connection's wait, so a handler's failure leaves it in order.
  ApiReply reply = Error{ErrorKind::internal, "the request failed; the server's log says why"};
  try {
    reply = co_await call_handler(lane, client, std::move(caller), std::move(found));
  } catch (const std::exception& error) {
    log_error("web.api", {{"path", client.head.path()}, {"error", std::string_view(error.what())}});
  }
  if (reply && !*reply) co_return;
  if (!reply && reply.error().kind == ErrorKind::denied) note_refusal(lane, actor, client.head.method, pattern, reply.error().message);
  Response response = reply ? std::move(**reply) : error_response(reply.error());
  add_security_headers(response, false);
  (void)co_await client.send(std::move(response));
}

}  // namespace berth::web
