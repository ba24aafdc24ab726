// The HTTP API (docs/api.md): one constexpr table of routes for both faces. What is not in the table is refused.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.hpp"
#include "auth/web_logins.hpp"
#include "web/connection.hpp"

namespace berth::web {

// By which way a caller comes, and sets of such ways.
enum class Via : std::uint8_t { browser, admin_socket, ssh, token };
using Faces = std::uint8_t;
constexpr Faces face_of(Via via) { return static_cast<Faces>(1U << static_cast<unsigned>(via)); }
inline constexpr Faces kByBrowser = face_of(Via::browser), kByAdminSocket = face_of(Via::admin_socket), kBySsh = face_of(Via::ssh), kByToken = face_of(Via::token);
inline constexpr Faces kByAll = kByBrowser | kByAdminSocket | kBySsh | kByToken;

// Who calls.
struct Caller {
  auth::Actor actor;
  Via via = Via::browser;
  std::optional<auth::WebLogins::Valid> login;  // by browser
  std::string cookie;                           // of that browser
  std::string workspace;                        // over SSH: the one that the login names
  std::string scopes;                           // of an API token
  bool admin_socket = false;                    // the same as via == Via::admin_socket
  bool is_admin() const { return actor.role == auth::Role::admin; }
  bool reads_all() const { return actor.role != auth::Role::user; }
};

// The role that a route wants. This and `faces` of the routes are the one place where roles are checked; the command line, SSH and the pages follow.
enum class Need : std::uint8_t { anyone, user, auditor, admin };

struct ApiCall {
  LaneServer& lane;
  Connection& client;
  Caller caller;
  std::vector<std::string> params;  // what the pattern's {…} matched, decoded
  nlohmann::json body;              // an object; empty when there was none

  std::optional<std::string> query(std::string_view name) const;
  bool query_flag(std::string_view name) const { return query(name) == "1"; }
  // A number from 1 to `max` in the query; `fallback` when it is not there or is not one.
  std::size_t query_number(std::string_view name, std::size_t fallback, std::size_t max) const;
  // A whole number, or true or false, in the body; `fallback` when it is missing, Error{invalid} when it is something else.
  Result<std::optional<std::int64_t>> number(std::string_view name) const;
  Result<bool> flag(std::string_view name, bool fallback) const;
  // A row of the audit trail about what this caller did; an object begins with the user it is about.
  void audit(std::string action, std::string object, const Result<void>& outcome) const;
  // A string in the body; Error{invalid} when it is missing (without a fallback), or not a string.
  Result<std::string> text(std::string_view name, std::optional<std::string> fallback = std::nullopt) const;
};

// nullopt: the handler has written its answer itself.
using ApiReply = Result<std::optional<Response>>;
using ApiHandler = boost::asio::awaitable<ApiReply> (*)(ApiCall& call);

struct Route {
  std::string_view method, pattern;  // below /api/v1
  Need need;
  ApiHandler handler;
  Faces faces = kByAll;
};
std::span<const Route> api_routes();

// `path` against a pattern such as "/users/{name}/keys". The captured segments, percent-decoded.
std::optional<std::vector<std::string>> match_pattern(std::string_view pattern, std::string_view path);

inline constexpr std::string_view kApiPrefix = "/api/v1";
// Serves one request below kApiPrefix. The caller has been identified (not logged in: an empty actor name).
boost::asio::awaitable<void> serve_api(LaneServer& lane, Connection& client, Caller caller);

// The token that X-Berth-CSRF must equal: bound to the browser's session.
std::string csrf_token(const LaneServer& lane, std::string_view cookie);

// Handlers, by file.
// openapi.cpp
boost::asio::awaitable<ApiReply> get_openapi(ApiCall& call);
// api_login.cpp
boost::asio::awaitable<ApiReply> get_me(ApiCall& call);
boost::asio::awaitable<ApiReply> post_login_link(ApiCall& call);
boost::asio::awaitable<ApiReply> post_login_code(ApiCall& call);
boost::asio::awaitable<ApiReply> get_login_code(ApiCall& call);
boost::asio::awaitable<ApiReply> post_logout(ApiCall& call);
boost::asio::awaitable<ApiReply> get_web_sessions(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_web_session(ApiCall& call);
// api_tokens.cpp
boost::asio::awaitable<ApiReply> post_token(ApiCall& call);
boost::asio::awaitable<ApiReply> get_tokens(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_token(ApiCall& call);
// api_shares.cpp
boost::asio::awaitable<ApiReply> get_shares(ApiCall& call);
boost::asio::awaitable<ApiReply> post_share(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_share(ApiCall& call);
// api_ssh.cpp
boost::asio::awaitable<ApiReply> post_ssh_link(ApiCall& call);
boost::asio::awaitable<ApiReply> post_ssh_approve(ApiCall& call);
boost::asio::awaitable<ApiReply> get_ssh_whoami(ApiCall& call);
// api_workspaces.cpp
boost::asio::awaitable<ApiReply> get_workspaces(ApiCall& call);
boost::asio::awaitable<ApiReply> post_start(ApiCall& call);
boost::asio::awaitable<ApiReply> post_stop(ApiCall& call);
boost::asio::awaitable<ApiReply> post_reset(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_workspace(ApiCall& call);
// api_environments.cpp
boost::asio::awaitable<ApiReply> get_environments(ApiCall& call);
boost::asio::awaitable<ApiReply> get_environment(ApiCall& call);
boost::asio::awaitable<ApiReply> get_environment_revision(ApiCall& call);
boost::asio::awaitable<ApiReply> get_environment_diff(ApiCall& call);
boost::asio::awaitable<ApiReply> get_environment_export(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_plan(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_install(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_verify(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_rollback(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_default(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_environment(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environments_check(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environments_gc(ApiCall& call);
boost::asio::awaitable<ApiReply> get_environments_used(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_share(ApiCall& call);
boost::asio::awaitable<ApiReply> post_environment_maintainer(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_environment_maintainer(ApiCall& call);
// api_workspaces.cpp
boost::asio::awaitable<ApiReply> get_workspace_image(ApiCall& call);
boost::asio::awaitable<ApiReply> post_workspace_image(ApiCall& call);
// api_terminals.cpp
boost::asio::awaitable<ApiReply> get_terminals(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_terminal(ApiCall& call);
boost::asio::awaitable<ApiReply> get_terminal(ApiCall& call);
// api_users.cpp
boost::asio::awaitable<ApiReply> get_users(ApiCall& call);
boost::asio::awaitable<ApiReply> get_user(ApiCall& call);
boost::asio::awaitable<ApiReply> post_user(ApiCall& call);
boost::asio::awaitable<ApiReply> patch_user(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_user(ApiCall& call);
// api_keys.cpp
boost::asio::awaitable<ApiReply> get_keys(ApiCall& call);
boost::asio::awaitable<ApiReply> get_key(ApiCall& call);
boost::asio::awaitable<ApiReply> get_key_impact(ApiCall& call);
boost::asio::awaitable<ApiReply> post_key(ApiCall& call);
boost::asio::awaitable<ApiReply> post_rotation(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_key(ApiCall& call);
boost::asio::awaitable<ApiReply> get_key_policy(ApiCall& call);
boost::asio::awaitable<ApiReply> get_notices(ApiCall& call);
// api_campaign.cpp
boost::asio::awaitable<ApiReply> get_campaign(ApiCall& call);
boost::asio::awaitable<ApiReply> post_campaign(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_campaign(ApiCall& call);
// api_host_keys.cpp
boost::asio::awaitable<ApiReply> get_host_keys(ApiCall& call);
boost::asio::awaitable<ApiReply> post_host_key(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_host_key(ApiCall& call);
// api_authorities.cpp
boost::asio::awaitable<ApiReply> get_authorities(ApiCall& call);
boost::asio::awaitable<ApiReply> post_authority(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_authority(ApiCall& call);
boost::asio::awaitable<ApiReply> get_revocations(ApiCall& call);
boost::asio::awaitable<ApiReply> post_revocations(ApiCall& call);
boost::asio::awaitable<ApiReply> post_certificate(ApiCall& call);
// Ends what rests on a certificate that would not be accepted any more; answers how many sessions.
std::size_t end_broken_certificates(const ApiCall& call);
// api_admin.cpp
boost::asio::awaitable<ApiReply> get_sessions(ApiCall& call);
boost::asio::awaitable<ApiReply> delete_session(ApiCall& call);
boost::asio::awaitable<ApiReply> get_status(ApiCall& call);
boost::asio::awaitable<ApiReply> get_backup(ApiCall& call);
// api_box.cpp
boost::asio::awaitable<ApiReply> get_settings(ApiCall& call);
// Load and memory of this machine, to be put into another object; null where the kernel does not say.
nlohmann::json box_json();
// api_events.cpp
boost::asio::awaitable<ApiReply> get_events(ApiCall& call);
// api_audit.cpp
boost::asio::awaitable<ApiReply> get_audit(ApiCall& call);
boost::asio::awaitable<ApiReply> get_audit_row(ApiCall& call);
boost::asio::awaitable<ApiReply> get_audit_verify(ApiCall& call);
boost::asio::awaitable<ApiReply> get_audit_export(ApiCall& call);

}  // namespace berth::web
