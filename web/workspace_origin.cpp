#include "web/workspace_origin.hpp"

#include "web/app_face.hpp"
#include "web/app_origin.hpp"
#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/workspace_visit.hpp"
#include "workspaces/names.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

// Redeems the portal's one-time code. The browser must hold the very portal session that made the code: else somebody could plant
// their own session in another's browser and run their pages beside that user's workspace.
asio::awaitable<Response> cross(LaneServer& lane, Connection& client) {
  const RequestHead& head = client.head;
  const Error refused{ErrorKind::denied, "This link has been used or has run out. Open the workspace from the portal again."};
  const auto code = query_value(head.query(), "code"), to = query_value(head.query(), "to");
  if (head.method != "GET" || !code || !to) co_return error_for(head, 400, "Bad link", Error{ErrorKind::invalid, "This link is incomplete."});
  const auto portal_cookie = std::string(cookie_value(head.find(Name::cookie), kSessionCookie));
  auto redeeming = lane.services().logins.redeem_crossing(*code);
  auto crossed = co_await std::move(redeeming);
  if (!crossed) co_return error_for(head, 403, "Link not valid", refused);
  const auto portal = lane.services().logins.check(*lane.reader, portal_cookie);
  if (!portal || portal->session.id != crossed->valid.session.id) co_return error_for(head, 403, "Link not valid", refused);
  const workspaces::WorkspaceId id{crossed->place.owner, crossed->place.workspace};
  const auto path = parse_workspace_path(*to);
  if (!path || path->id != id || !is_local_path(*to) || !crossed->place.app.empty()) co_return error_for(head, 400, "Bad link", Error{ErrorKind::invalid, "This link leads nowhere."});
  Response response = redirect_response(*to);
  response.headers.emplace_back("Set-Cookie", make_cookie(workspace_cookie_name(id), crossed->cookie, lane.shared.options.session_lifetime));
  co_return response;
}

// Who may see this path: its owner, by the cookie of this workspace.
std::optional<Admitted> admit_to_path(LaneServer& lane, const Connection& client, const Target& target, Response& refusal) {
  const RequestHead& head = client.head;
  const std::string_view cookies = head.find(Name::cookie);
  const std::string_view own = cookie_value(cookies, workspace_cookie_name(target.id));
  if (!own.empty()) {
    auto valid = lane.login_cache.check(*lane.reader, own, {target.id.user, target.id.name, {}});
    if (valid && valid->user.name == target.id.user) return Admitted{std::move(valid), {}};
  }
  const std::string_view portal_cookie = cookie_value(cookies, kSessionCookie);
  const auto portal = portal_cookie.empty() ? std::nullopt : lane.services().logins.check(*lane.reader, portal_cookie);
  if (portal && portal->user.name != target.id.user) refusal = not_found(head);
  else if (is_navigation(head)) refusal = redirect_response(lane.shared.origins.origin(Face::portal, Face::workspaces, head.host, client.secure) + std::string(head.target));
  else refusal = error_response(401, "denied", "Open this workspace from the portal first.");
  return std::nullopt;
}

// From the path below the workspace to where it leads. A Response is the answer already (redirect, 404).
std::variant<ProxyPlan, Response> plan_for(LaneServer& lane, const Connection& client, const WorkspacePath& path) {
  const RequestHead& head = client.head;
  const std::string base(head.target.substr(0, path.id.user.size() + path.id.name.size() + 4));  // "/w/ada/main"
  ProxyPlan plan;
  plan.target.id = path.id;
  plan.workspace_path.append(base) += '/';
  plan.public_origin = lane.shared.origins.origin(Face::workspaces, Face::workspaces, head.host, client.secure);
  plan.websocket = asks_for_websocket(head);
  if (path.rest.empty() || path.rest == "/" || path.rest == "/jupyter") return redirect_response(base + "/jupyter/lab");
  if (path.rest.starts_with("/jupyter/")) {
    plan.upstream_target = head.target;  // Jupyter knows its base_url
    plan.upstream_host = head.host;
    return plan;
  }
  if (!path.rest.starts_with("/port/")) return not_found(head);
  const std::string_view after = path.rest.substr(6);
  const std::size_t slash = after.find('/');
  const auto port = parse_port(after.substr(0, slash));
  if (!port) return not_found(head);
  const std::size_t prefix = base.size() + 6 + std::min(slash, after.size());  // a port has one spelling
  plan.prefix = head.target.substr(0, prefix);
  if (slash == std::string_view::npos) return redirect_response(plan.prefix + "/" + std::string(head.target.substr(prefix)));
  plan.target.port = *port;
  plan.upstream_target = head.target.substr(prefix);
  plan.upstream_host = "localhost:" + std::to_string(*port);
  return plan;
}

asio::awaitable<void> serve_path(LaneServer& lane, Connection& client, WorkspacePath path) {
  Response refusal;
  auto admitted = admit_to_path(lane, client, {path.id, 0}, refusal);
  if (!admitted) co_return co_await answer(client, std::move(refusal));
  auto planned = plan_for(lane, client, path);
  if (auto* response = std::get_if<Response>(&planned)) co_return co_await answer(client, std::move(*response));
  co_await serve_visit(lane, client, std::get<ProxyPlan>(planned), *admitted, admit_to_path);
}

}  // namespace

std::optional<WorkspacePath> parse_workspace_path(std::string_view path) {
  if (!path.starts_with("/w/")) return std::nullopt;
  const std::string_view after = path.substr(3);
  const std::size_t slash = after.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view user = after.substr(0, slash);
  std::string_view name = after.substr(slash + 1);
  name = name.substr(0, name.find_first_of("/?"));
  if (!workspaces::is_workspace_name(user) || !workspaces::is_workspace_name(name)) return std::nullopt;
  const std::string_view rest = after.substr(slash + 1 + name.size());
  return WorkspacePath{{std::string(user), std::string(name)}, rest.substr(0, rest.find('?'))};
}

asio::awaitable<void> serve_workspaces(LaneServer& lane, Connection& client) {
  const RequestHead& head = client.head;
  if (const auto label = lane.shared.origins.app_label(head.host)) co_return co_await serve_app(lane, client, *label);
  if (head.path() == "/berth-cross") {
    Response response = co_await cross(lane, client);
    co_return co_await answer(client, std::move(response));
  }
  auto path = parse_workspace_path(head.path());
  const bool known_method = head.method != "TRACE" && head.method != "CONNECT";
  if (!path || !known_method) co_return co_await answer(client, not_found(head));
  // With origins of their own, applications have no other: two of one user's must not meet on the shared one.
  if (const auto elsewhere = app_url(lane, *path, head.target)) co_return co_await answer(client, redirect_response(*elsewhere));
  co_await serve_path(lane, client, std::move(*path));
}

}  // namespace berth::web
