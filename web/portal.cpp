#include "web/portal.hpp"

#include <boost/asio/ip/address.hpp>

#include "auth/audit.hpp"
#include "base/encoding.hpp"
#include "web/api.hpp"
#include "web/app_face.hpp"
#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/metrics.hpp"
#include "web/pages.hpp"
#include "web/proxy.hpp"
#include "web/records.hpp"
#include "web/scopes.hpp"
#include "web/workspace_origin.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

bool is_api(std::string_view path) { return path == kApiPrefix || path.starts_with(std::string(kApiPrefix) + "/"); }

constexpr std::string_view kBearer = "Bearer ";

// Nobody (an empty name) when the token is not good.
Caller token_caller(LaneServer& lane, const Connection& client) {
  Caller caller;
  caller.via = Via::token;
  std::string_view secret = client.head.find(Name::authorization).substr(kBearer.size());
  while (secret.starts_with(' ')) secret.remove_prefix(1);
  const auto valid = lane.services().tokens.check(*lane.reader, secret, client.peer.address);
  if (!valid) {
    lane.services().audit.note_refusal({{}, auth::Role::user, client.peer.address, {}}, "api.login", "token", "not a good token");
    return caller;
  }
  caller.actor = {valid->user.name, valid->user.role, client.peer.address + " token " + valid->token.id, valid->token.key_fingerprint};
  caller.scopes = valid->token.scopes;
  return caller;
}

bool has_bearer(const Connection& client) {
  const std::string_view field = client.head.find(Name::authorization);
  return field.size() >= kBearer.size() && equals_ignoring_case(field.substr(0, kBearer.size()), kBearer);
}

Caller browser_caller(LaneServer& lane, const Connection& client) {
  if (has_bearer(client)) return token_caller(lane, client);
  Caller caller;
  caller.actor.source = client.peer.address;
  caller.cookie = std::string(cookie_value(client.head.find(Name::cookie), kSessionCookie));
  if (caller.cookie.empty()) return caller;
  caller.login = lane.services().logins.check(*lane.reader, caller.cookie);
  if (!caller.login) return caller;
  caller.actor.name = caller.login->user.name;
  caller.actor.role = caller.login->user.role;
  caller.actor.key_fingerprint = caller.login->session.key_fingerprint;
  return caller;
}

Caller admin_caller() {
  Caller caller;
  caller.actor = {"admin-socket", auth::Role::admin, "unix", {}};
  caller.via = Via::admin_socket;
  caller.admin_socket = true;
  return caller;
}

// Nobody (an empty name) when the user is gone or locked out by now.
Caller ssh_caller(LaneServer& lane, const SshLogin& login) {
  Caller caller;
  caller.via = Via::ssh;
  const auto user = lane.services().directory.find_user(*lane.reader, login.actor.name);
  if (!user || user->disabled) return caller;
  caller.actor = login.actor;
  caller.actor.role = user->role;
  caller.workspace = login.workspace;
  return caller;
}

bool is_loopback(const std::string& address) {
  boost::system::error_code error;
  const auto parsed = asio::ip::make_address(address, error);
  return !error && parsed.is_loopback();
}

Response ready_response(LaneServer& lane) {
  std::vector<std::string> reasons = lane.services().not_ready ? lane.services().not_ready() : std::vector<std::string>{};
  try {
    lane.reader->execAndGet("SELECT 1");
  } catch (const std::exception&) {
    reasons.emplace_back("the store cannot be read");
  }
  if (lane.stopping()) reasons.emplace_back("berthd is stopping");
  if (reasons.empty()) return json_response({{"ready", true}});
  return json_response({{"ready", false}, {"reasons", reasons}}, 503);
}

// Health, readiness and metrics, the same on both faces. nullopt: another path.
asio::awaitable<std::optional<Response>> service_page(LaneServer& lane, const Connection& client, Caller caller) {
  const std::string_view path = client.head.path();
  if (path == "/healthz") co_return json_response({{"alive", true}});
  if (path == "/readyz") co_return ready_response(lane);
  if (path != "/metrics") co_return std::nullopt;
  // Who is logged in, and how often, is nobody's business outside the machine.
  const bool too_narrow = caller.via == Via::token && !has_scope(caller.scopes, "all") && !has_scope(caller.scopes, "read");
  if (!caller.admin_socket && (!caller.reads_all() || too_narrow) && !is_loopback(client.peer.address))
    co_return error_response(403, "denied", "Metrics are for this machine, admins and auditors.");
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = co_await metrics_text(lane);
  co_return response;
}

// "/w/USER/NAME/…": over to the workspace origin with a one-time code. Another's workspace does not exist.
asio::awaitable<Response> cross_over(LaneServer& lane, const Connection& client, Caller caller) {
  const RequestHead& head = client.head;
  if (head.method != "GET" && head.method != "HEAD") co_return error_response(405, "invalid", "This path answers GET only.");
  const auto path = parse_workspace_path(head.path());
  const auto elsewhere = path ? app_url(lane, *path, head.target) : std::nullopt;
  if (elsewhere) co_return redirect_response(*elsewhere);
  if (!caller.login) co_return redirect_response("/login?next=" + percent_encode(head.target, "/"));
  if (!path || path->id.user != caller.actor.name) co_return error_for(head, 404, "Not found", Error{ErrorKind::not_found, "There is nothing at this address."});
  auth::WebLogins::Place place{path->id.user, path->id.name, {}};
  auto making = lane.services().logins.make_crossing(caller.login->session.id, std::move(place));
  auto code = co_await std::move(making);
  if (!code) co_return error_for(head, status_of(code.error().kind), "Your workspace cannot be opened", code.error());
  std::string to(head.target);
  if (path->rest.empty()) to.insert(head.path().size(), "/");
  const std::string origin = lane.shared.origins.origin(Face::workspaces, Face::portal, head.host, client.secure);
  co_return redirect_response(origin + "/berth-cross?code=" + *code + "&to=" + percent_encode(to, "/"));
}

}  // namespace

asio::awaitable<void> serve_portal(LaneServer& lane, Connection& client) {
  const std::string_view path = client.head.path();
  // An application's cookies reach every port of its host: the portal is not to be had under such a name.
  if (lane.shared.origins.app_label(client.head.host)) {
    Response misdirected = error_response(421, "invalid", "This name is not the portal's.");
    add_security_headers(misdirected, false);
    (void)co_await client.send(std::move(misdirected));
    co_return;
  }
  if (is_api(path)) {
    // Which of two logins a request means is not guessed.
    if (has_bearer(client) && !cookie_value(client.head.find(Name::cookie), kSessionCookie).empty()) {
      Response both = error_response(400, "invalid", "Send either a token or the session's cookie, not both.");
      add_security_headers(both, false);
      (void)co_await client.send(std::move(both));
      co_return;
    }
    Caller caller = browser_caller(lane, client);
    co_return co_await serve_api(lane, client, std::move(caller));
  }
  const bool to_app = path == "/berth-cross", workspace = to_app || path.starts_with("/w/");
  Caller caller;
  if (workspace || path == "/metrics") caller = browser_caller(lane, client);
  Response response;
  if (workspace) {
    if (to_app) response = co_await cross_to_app(lane, client, std::move(caller));
    else response = co_await cross_over(lane, client, std::move(caller));
  } else {
    auto page = co_await service_page(lane, client, std::move(caller));
    response = page ? std::move(*page) : lane.shared.files.answer(client.head);
  }
  add_security_headers(response, !workspace);
  (void)co_await client.send(std::move(response));
}

asio::awaitable<void> serve_admin(LaneServer& lane, Connection& client) {
  if (is_api(client.head.path())) {
    Caller caller = admin_caller();
    co_return co_await serve_api(lane, client, std::move(caller));
  }
  Response response = error_response(404, "not_found", "The admin socket answers /api/v1, /healthz, /readyz and /metrics.");
  Caller caller = admin_caller();
  auto page = co_await service_page(lane, client, std::move(caller));
  if (page) response = std::move(*page);
  add_security_headers(response, false);
  (void)co_await client.send(std::move(response));
}

asio::awaitable<void> serve_ssh_face(LaneServer& lane, Connection& client) {
  if (is_api(client.head.path())) {
    Caller caller = ssh_caller(lane, *client.ssh_login);
    co_return co_await serve_api(lane, client, std::move(caller));
  }
  Response response = error_response(404, "not_found", "Commands by SSH are answered under /api/v1 only.");
  (void)co_await client.send(std::move(response));
}

}  // namespace berth::web
