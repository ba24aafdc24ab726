// Logging in and out by browser, and the browser's own sessions.
#include "auth/audit.hpp"
#include "web/api.hpp"
#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kCodeLifetime{300};
constexpr std::size_t kMaxUserAgent = 256;

std::string user_agent_of(const Connection& client) { return std::string(client.head.find(Name::user_agent).substr(0, kMaxUserAgent)); }

std::optional<Response> too_many(ApiCall& call) {
  if (call.lane.login_rate.allow(call.client.peer.address, std::chrono::steady_clock::now())) return std::nullopt;
  ++call.lane.counters.logins_refused;
  Response response = error_response(429, "unavailable", "Too many login attempts from your address; wait a minute.");
  response.headers.emplace_back("Retry-After", "60");
  return response;
}

Response logged_in(ApiCall& call, const auth::NewWebSession& made, nlohmann::json body) {
  ++call.lane.counters.logins;
  Response response = json_response(body);
  response.headers.emplace_back("Set-Cookie", make_cookie(kSessionCookie, made.cookie, call.lane.shared.options.session_lifetime));
  return response;
}

}  // namespace

asio::awaitable<ApiReply> get_me(ApiCall& call) {
  const Caller& caller = call.caller;
  const WebOptions& options = call.lane.shared.options;
  nlohmann::json me = {{"user", {{"name", caller.actor.name}, {"role", auth::name_of(caller.actor.role)}}},
                       {"csrf", nullptr},
                       {"session", nullptr},
                       {"ssh_host", options.host_name},
                       {"ssh_port", options.ssh_port},
                       {"workspace_origin", nullptr},
                       {"sharing", call.lane.shared.origins.has_apps()},
                       {"watching", options.watch_terminals && caller.is_admin() && caller.login.has_value()},
                       {"version", options.version}};
  if (caller.login) {
    me["csrf"] = csrf_token(call.lane, caller.cookie);
    me["session"] = to_json(caller.login->session, caller.login->session.id);
    me["workspace_origin"] = call.lane.shared.origins.origin(Face::workspaces, Face::portal, call.client.head.host, call.client.secure);
  }
  co_return json_response(me);
}

asio::awaitable<ApiReply> post_login_link(ApiCall& call) {
  if (auto refused = too_many(call)) co_return std::move(*refused);
  const auto token = call.text("token");
  if (!token) co_return token.error();
  auto made = co_await call.lane.services().logins.redeem_link(*token, call.client.peer.address, user_agent_of(call.client));
  if (!made) {
    ++call.lane.counters.logins_refused;
    call.lane.services().audit.note_refusal({{}, auth::Role::user, call.client.peer.address, {}}, "web.login", "link", made.error().message);
    co_return made.error();
  }
  co_return logged_in(call, *made, {{"user", made->session.user}});
}

asio::awaitable<ApiReply> post_login_code(ApiCall& call) {
  if (auto refused = too_many(call)) co_return std::move(*refused);
  auto made = co_await call.lane.services().logins.ask_code(call.client.peer.address, user_agent_of(call.client));
  if (!made) co_return made.error();
  const std::string command = "ssh -t " + call.lane.shared.options.ssh_destination() + " berth approve " + made->code;  // a terminal: it asks
  Response response = json_response({{"code", made->code}, {"expires_in_s", kCodeLifetime.count()}, {"command", command}});
  response.headers.emplace_back("Set-Cookie", make_cookie(kCodeCookie, made->browser_secret, kCodeLifetime));
  co_return response;
}

asio::awaitable<ApiReply> get_login_code(ApiCall& call) {
  const std::string secret(cookie_value(call.client.head.find(Name::cookie), kCodeCookie));
  if (secret.empty()) co_return json_response({{"state", "expired"}});
  auto made = co_await call.lane.services().logins.redeem_code(secret, call.client.peer.address, user_agent_of(call.client));
  if (made) {
    Response response = logged_in(call, *made, {{"state", "approved"}, {"user", made->session.user}});
    response.headers.emplace_back("Set-Cookie", make_cookie(kCodeCookie, "", std::chrono::seconds(0)));
    co_return response;
  }
  if (made.error().kind == ErrorKind::conflict) co_return json_response({{"state", "pending"}});
  if (made.error().kind == ErrorKind::not_found) co_return json_response({{"state", "expired"}});
  co_return made.error();
}

asio::awaitable<ApiReply> post_logout(ApiCall& call) {
  const std::string id = call.caller.login->session.id;
  auto ended = co_await call.lane.services().logins.end(call.caller.actor, id);
  if (!ended) co_return ended.error();
  call.lane.end_web_session_everywhere(id);
  Response response = json_response(nlohmann::json::object());
  response.headers.emplace_back("Set-Cookie", make_cookie(kSessionCookie, "", std::chrono::seconds(0)));
  co_return response;
}

asio::awaitable<ApiReply> get_web_sessions(ApiCall& call) {
  const std::string current = call.caller.login ? call.caller.login->session.id : std::string();
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  const std::string user = call.query("user").value_or(own);
  if (user.empty()) co_return Error{ErrorKind::invalid, "say whose: ?user=NAME"};
  if (user != own && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own browser sessions only"};
  nlohmann::json items = nlohmann::json::array();
  for (const auth::WebSession& session : call.lane.services().logins.list(*call.lane.reader, user)) items.push_back(to_json(session, current));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> delete_web_session(ApiCall& call) {
  const std::string id = call.params[0];
  auto ended = co_await call.lane.services().logins.end(call.caller.actor, id);
  if (!ended) co_return ended.error();
  call.lane.end_web_session_everywhere(id);
  co_return json_response({{"ended", 1}});
}

}  // namespace berth::web
