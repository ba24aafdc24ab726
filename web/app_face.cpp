#include "web/app_face.hpp"

#include "auth/shares.hpp"
#include "base/encoding.hpp"
#include "web/app_origin.hpp"
#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/workspace_visit.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::minutes kAskLife{15};  // a person may have to log in meanwhile
constexpr std::size_t kSecretSize = 43;       // 256 bits as base64url

std::string jupyter_path(const workspaces::WorkspaceId& id) { return "/w/" + id.user + "/" + id.name + "/jupyter"; }

auth::WebLogins::Place place_of(const Target& target) { return {target.id.user, target.id.name, app_of(target)}; }

// May this user use it, now? nullopt: no. Else the share that lets them; empty for the owner.
std::optional<std::string> share_for(const LaneServer& lane, const Target& target, const auth::User& user) {
  if (user.name == target.id.user) return std::string();
  if (target.jupyter()) return std::nullopt;  // whoever has that has the workspace
  const auto share = lane.services().shares.find(*lane.reader, target.id.user, target.id.name, target.port, user.name);
  return share ? std::optional(share->id) : std::nullopt;
}

// Over to the portal, which knows who this is, and back. Only this browser will be able to use what the portal answers.
Response ask_portal(const LaneServer& lane, const Connection& client, const Target& target) {
  std::string secret(cookie_value(client.head.find(Name::cookie), kAskCookie));  // tabs that open together share one
  if (secret.size() != kSecretSize) secret = base64url_encode(random_bytes(32));
  Response response = redirect_response(lane.shared.origins.portal_url() + "/berth-cross?app=" + *app_label(target) + "&bind=" + hex_encode(sha256(secret)) +
                                        "&to=" + percent_encode(client.head.target, "/"));
  response.headers.emplace_back("Set-Cookie", make_cookie(kAskCookie, secret, kAskLife));
  return response;
}

std::optional<Admitted> admit_to_app(LaneServer& lane, const Connection& client, const Target& target, Response& refusal) {
  const RequestHead& head = client.head;
  const std::string_view cookie = cookie_value(head.find(Name::cookie), kAppCookie);
  if (!cookie.empty()) {
    auto valid = lane.login_cache.check(*lane.reader, cookie, place_of(target));
    auto share = valid ? share_for(lane, target, valid->user) : std::nullopt;
    if (share) return Admitted{std::move(valid), std::move(*share)};
    if (valid) {
      refusal = not_found(head);
      return std::nullopt;
    }
  }
  refusal = is_navigation(head) ? ask_portal(lane, client, target) : error_response(401, "denied", "Open this page first, and log in.");
  return std::nullopt;
}

// Takes the portal's code.
asio::awaitable<Response> cross(LaneServer& lane, Connection& client, Target target) {
  const RequestHead& head = client.head;
  const auto code = query_value(head.query(), "code"), to = query_value(head.query(), "to");
  if (head.method != "GET" || !code || !to || !is_local_path(*to))
    co_return error_for(head, 400, "Bad link", Error{ErrorKind::invalid, "This link is incomplete."});
  const Error refused{ErrorKind::denied, "This link has been used, has run out, or was made for another browser. Open the page again; it needs cookies."};
  const std::string held(cookie_value(head.find(Name::cookie), kAskCookie));
  if (held.size() != kSecretSize) co_return error_for(head, 403, "Link not valid", refused);
  auto redeeming = lane.services().logins.redeem_crossing(*code, held);
  auto crossed = co_await std::move(redeeming);
  if (!crossed || crossed->place != place_of(target)) co_return error_for(head, 403, "Link not valid", refused);
  Response response = redirect_response(*to);
  response.headers.emplace_back("Set-Cookie", make_cookie(kAppCookie, crossed->cookie, lane.shared.options.session_lifetime));
  co_return response;  // the secret stays: other tabs may be on their way with it
}

ProxyPlan plan_for(const LaneServer& lane, const Connection& client, const Target& target) {
  ProxyPlan plan;
  plan.target = target;
  plan.upstream_target = client.head.target;
  // Many servers for development answer to this name only; Jupyter is told that it stands behind others.
  plan.upstream_host = target.jupyter() ? std::string(client.head.host) : "localhost:" + std::to_string(target.port);
  plan.public_origin = lane.shared.origins.app_origin(*app_label(target));
  plan.workspace_path = "/";
  plan.websocket = asks_for_websocket(client.head);
  plan.own_origin = true;
  return plan;
}

}  // namespace

std::optional<std::string> app_url(const LaneServer& lane, const WorkspacePath& path, std::string_view target) {
  if (!lane.shared.origins.has_apps()) return std::nullopt;
  const std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  Target app{path.id, 0};
  std::string rest = jupyter_path(path.id) + "/lab";
  if (path.rest.starts_with("/jupyter/")) {
    rest = jupyter_path(path.id) + std::string(path.rest.substr(8));
  } else if (path.rest.starts_with("/port/")) {
    const std::string_view after = path.rest.substr(6), number = after.substr(0, after.find('/'));
    const auto port = parse_port(number);
    if (!port) return std::nullopt;
    app.port = *port;
    rest = number.size() == after.size() ? "/" : std::string(after.substr(number.size()));
  } else if (!path.rest.empty() && path.rest != "/" && path.rest != "/jupyter") {
    return std::nullopt;
  }
  const auto label = app_label(app);
  if (!label) return std::nullopt;
  return lane.shared.origins.app_origin(*label) + rest + std::string(query);
}

asio::awaitable<Response> cross_to_app(LaneServer& lane, const Connection& client, Caller caller) {
  const RequestHead& head = client.head;
  const auto label = query_value(head.query(), "app"), bind = query_value(head.query(), "bind"), to = query_value(head.query(), "to");
  const auto target = label && lane.shared.origins.has_apps() ? parse_app_label(*label) : std::nullopt;
  const bool bound = bind && bind->size() == 64 && bind->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (head.method != "GET" || !target || !bound || !to || !is_local_path(*to)) co_return not_found(head);
  if (!caller.login) co_return redirect_response("/login?next=" + percent_encode(head.target, "/"));
  if (!share_for(lane, *target, caller.login->user)) co_return not_found(head);
  auto making = lane.services().logins.make_crossing(caller.login->session.id, place_of(*target), *bind);
  auto code = co_await std::move(making);
  if (!code) co_return error_for(head, status_of(code.error().kind), "This cannot be opened", code.error());
  co_return redirect_response(lane.shared.origins.app_origin(*label) + "/berth-cross?code=" + *code + "&to=" + percent_encode(*to, "/"));
}

asio::awaitable<void> serve_app(LaneServer& lane, Connection& client, std::string label) {
  const RequestHead& head = client.head;
  const auto target = parse_app_label(label);
  const bool known_method = head.method != "TRACE" && head.method != "CONNECT";
  if (!target || !known_method) co_return co_await answer(client, not_found(head));
  if (head.path() == "/berth-cross") {
    Response response = co_await cross(lane, client, *target);
    co_return co_await answer(client, std::move(response));
  }
  Response refusal;
  auto admitted = admit_to_app(lane, client, *target, refusal);
  if (!admitted) co_return co_await answer(client, std::move(refusal));
  if (target->jupyter() && !head.path().starts_with(jupyter_path(target->id) + "/")) {
    if (head.path() != "/" && head.path() != jupyter_path(target->id)) co_return co_await answer(client, not_found(head));
    co_return co_await answer(client, redirect_response(jupyter_path(target->id) + "/lab"));
  }
  ProxyPlan plan = plan_for(lane, client, *target);
  co_await serve_visit(lane, client, plan, *admitted, admit_to_app);
}

}  // namespace berth::web
