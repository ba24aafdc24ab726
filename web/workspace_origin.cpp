#include "web/workspace_origin.hpp"

#include <charconv>

#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/proxy.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kShowProgressAfter{1'500};

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 32 || text.front() < 'a' || text.front() > 'z') return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) return false;
  return true;
}

bool is_navigation(const RequestHead& head) { return head.method == "GET" && wants_page(head); }

Response not_found(const RequestHead& head) {
  return error_for(head, 404, "Not found", Error{ErrorKind::not_found, "There is nothing at this address."});
}

asio::awaitable<void> answer(Connection& client, Response response) {
  add_security_headers(response, false);
  (void)co_await client.send(std::move(response));
}

// Redeems the portal's one-time code. The browser must hold the very portal session that made the code: else somebody could plant
// their own session in another's browser and run their pages beside that user's workspace.
asio::awaitable<Response> cross(LaneServer& lane, Connection& client) {
  const RequestHead& head = client.head;
  const Error refused{ErrorKind::denied, "This link has been used or has run out. Open the workspace from the portal again."};
  const auto code = query_value(head.query(), "code"), to = query_value(head.query(), "to");
  if (head.method != "GET" || !code || !to) co_return error_for(head, 400, "Bad link", Error{ErrorKind::invalid, "This link is incomplete."});
  const auto portal_cookie = std::string(cookie_value(head.find(Name::cookie), kSessionCookie));
  auto crossed = co_await lane.services().logins.redeem_crossing(*code);
  if (!crossed) co_return error_for(head, 403, "Link not valid", refused);
  const auto portal = lane.services().logins.check(*lane.reader, portal_cookie);
  if (!portal || portal->session.id != crossed->valid.session.id) co_return error_for(head, 403, "Link not valid", refused);
  const workspaces::WorkspaceId id{crossed->owner, crossed->workspace};
  const auto path = parse_workspace_path(*to);
  const bool printable = to->find_first_of(std::string_view("\r\n\\\0 ", 5)) == std::string::npos;
  if (!path || path->id != id || !printable) co_return error_for(head, 400, "Bad link", Error{ErrorKind::invalid, "This link leads nowhere."});
  Response response = redirect_response(*to);
  response.headers.emplace_back("Set-Cookie", make_cookie(workspace_cookie_name(id), crossed->cookie, lane.shared.options.session_lifetime));
  co_return response;
}

// Who may see this path: its owner, by the cookie of this workspace. nullopt: `refusal` is the answer.
std::optional<auth::WebLogins::Valid> authorize(LaneServer& lane, const Connection& client, const workspaces::WorkspaceId& id, Response& refusal) {
  const RequestHead& head = client.head;
  const std::string_view cookies = head.find(Name::cookie);
  const auto& logins = lane.services().logins;
  const std::string_view own = cookie_value(cookies, workspace_cookie_name(id));
  if (!own.empty()) {
    auto valid = logins.check_workspace_cookie(*lane.reader, own, id.user, id.name);
    if (valid && valid->user.name == id.user) return valid;
  }
  const std::string_view portal_cookie = cookie_value(cookies, kSessionCookie);
  const auto portal = portal_cookie.empty() ? std::nullopt : lane.services().logins.check(*lane.reader, portal_cookie);
  if (portal && portal->user.name != id.user) refusal = not_found(head);
  else if (is_navigation(head)) refusal = redirect_response(lane.shared.origins.origin(Face::portal, Face::workspaces, head.host, client.secure) + std::string(head.target));
  else refusal = error_response(401, "denied", "Open this workspace from the portal first.");
  return std::nullopt;
}

// Requests of other origins carry our cookies when they are on the same host: they may look at nothing by script (no CORS from us), and they may
// change nothing. WebSockets have no other guard at all.
bool foreign_origin(const LaneServer& lane, const Connection& client, bool websocket) {
  const RequestHead& head = client.head;
  if (!websocket && (head.method == "GET" || head.method == "HEAD" || head.method == "OPTIONS")) return false;
  const std::string_view origin = head.find(Name::origin);
  if (origin.empty()) return websocket;
  return !lane.shared.origins.is_own(origin, Face::workspaces, head.host, client.secure);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// From the path below the workspace to where it leads. A Response is the answer already (redirect, 404).
std::variant<ProxyPlan, Response> plan_for(LaneServer& lane, const Connection& client, const WorkspacePath& path) {
  const RequestHead& head = client.head;
  const std::string base = "/w/" + path.id.user + "/" + path.id.name;
  ProxyPlan plan;
  plan.target.id = path.id;
  plan.workspace_path = base + "/";
  plan.public_origin = lane.shared.origins.origin(Face::workspaces, Face::workspaces, head.host, client.secure);
  plan.websocket = head.upgrade && head.method == "GET" && head.minor == 1 && head.framing == Framing::none &&
                   list_has(head.find(Name::upgrade), "websocket");
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
  plan.prefix = base + "/port/" + std::to_string(*port);
  const std::string query = head.target.find('?') == std::string_view::npos ? "" : "?" + std::string(head.query());
  if (slash == std::string_view::npos) return redirect_response(plan.prefix + "/" + query);
  plan.target.port = *port;
  plan.upstream_target = std::string(after.substr(slash)) + query;
  plan.upstream_host = "localhost:" + std::to_string(*port);
  return plan;
}

asio::awaitable<bool> is_stopped(LaneServer& lane, workspaces::WorkspaceId id) {
  auto all = co_await lane.services().manager.list(lane.lane, id.user);
  if (!all) co_return false;
  for (const auto& status : *all)
    if (status.id == id) co_return status.state != workspaces::WorkspaceState::running && status.state != workspaces::WorkspaceState::starting;
  co_return true;
}

// Makes sure that the workspace (and Jupyter) runs. nullopt: it does. Only a person who opens a page starts a workspace: an old tab that
// polls in the background must not undo a stop.
asio::awaitable<std::optional<Response>> make_ready(LaneServer& lane, Connection& client, Target target) {
  if (lane.upstreams.ready(target.id, target.jupyter())) co_return std::nullopt;
  const bool navigation = is_navigation(client.head);
  if (!navigation && !lane.starts.running(target.id, target.jupyter())) {
    const bool stopped = co_await is_stopped(lane, target.id);
    if (stopped) co_return error_response(503, "unavailable", "The workspace is stopped. Open it from the portal to start it.");
  }
  const auto task = lane.starts.begin(target.id, target.jupyter());
  const auto begun = std::chrono::steady_clock::now();
  while (!task->outcome()) {
    if (navigation && std::chrono::steady_clock::now() - begun >= kShowProgressAfter)
      co_return progress_page(target.jupyter() ? "Starting JupyterLab in your workspace" : "Starting your workspace", task->lines());
    co_await task->wait(SIZE_MAX, kShowProgressAfter);
    if (client.stream.peer_hung_up() || lane.stopping()) co_return error_response(503, "unavailable", "The request was given up.");
  }
  const Result<Started>& outcome = *task->outcome();
  lane.starts.told(target.id, target.jupyter());
  if (!outcome) co_return error_for(client.head, status_of(outcome.error().kind), "Your workspace could not be started", outcome.error());
  lane.upstreams.remember(target.id, *outcome);
  co_return std::nullopt;
}

asio::awaitable<void> serve_path(LaneServer& lane, Connection& client, WorkspacePath path) {
  Response refusal;
  auto valid = authorize(lane, client, path.id, refusal);
  if (!valid) co_return co_await answer(client, std::move(refusal));
  auto planned = plan_for(lane, client, path);
  if (auto* response = std::get_if<Response>(&planned)) co_return co_await answer(client, std::move(*response));
  ProxyPlan plan = std::get<ProxyPlan>(std::move(planned));
  if (foreign_origin(lane, client, plan.websocket))
    co_return co_await answer(client, error_response(403, "denied", "This request came from another origin."));
  const bool was_ready = lane.upstreams.ready(plan.target.id, plan.target.jupyter()) != nullptr;
  auto not_ready = co_await make_ready(lane, client, plan.target);
  if (not_ready) co_return co_await answer(client, std::move(*not_ready));
  const Started* started = lane.upstreams.ready(plan.target.id, plan.target.jupyter());
  if (!started) co_return co_await answer(client, error_response(503, "unavailable", "The workspace has just stopped."));
  if (started->jupyter) plan.token = plan.target.jupyter() ? started->jupyter->token : std::string();
  const auto presence = lane.presences.find_or_open(valid->session, path.id, client.peer.label());
  const Presences::Use use(presence, client.stream);
  // A revocation may have come while the workspace started, or just before the row existed that it would have ended.
  if (!was_ready || !presence->checked) valid = authorize(lane, client, path.id, refusal);
  if (!valid) co_return co_await answer(client, std::move(refusal));
  presence->checked = true;
  co_await proxy_request(lane, client, plan, *presence->live);
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
  if (!is_name(user) || !is_name(name)) return std::nullopt;
  const std::string_view rest = after.substr(slash + 1 + name.size());
  return WorkspacePath{{std::string(user), std::string(name)}, rest.substr(0, rest.find('?'))};
}

asio::awaitable<void> serve_workspaces(LaneServer& lane, Connection& client) {
  const RequestHead& head = client.head;
  if (head.path() == "/berth-cross") {
    Response response = co_await cross(lane, client);
    co_return co_await answer(client, std::move(response));
  }
  auto path = parse_workspace_path(head.path());
  const bool known_method = head.method != "TRACE" && head.method != "CONNECT";
  if (!path || !known_method) co_return co_await answer(client, not_found(head));
  co_await serve_path(lane, client, std::move(*path));
}

}  // namespace berth::web
