#include "web/workspace_visit.hpp"

#include "web/lane_server.hpp"
#include "web/pages.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kShowProgressAfter{1'500};

// Requests of other origins carry our cookies when they are on the same host or site: they may look at nothing by script (no CORS from us), and
// they may change nothing. WebSockets have no other guard at all.
bool foreign_origin(const LaneServer& lane, const Connection& client, const ProxyPlan& plan) {
  const RequestHead& head = client.head;
  if (!plan.websocket && (head.method == "GET" || head.method == "HEAD" || head.method == "OPTIONS")) return false;
  const std::string_view origin = head.find(Name::origin);
  if (origin.empty()) return plan.websocket;
  if (plan.own_origin) return !equals_ignoring_case(origin, plan.public_origin);
  return !lane.shared.origins.is_own(origin, Face::workspaces, head.host, client.secure);
}

// What browsers say about where a request comes from (Fetch Metadata): another site's or workspace's page may lead a person here, but neither load
// nor frame anything of ours.
bool from_elsewhere(const RequestHead& head) {
  const std::string_view site = head.find(Name::sec_fetch_site);
  if (site.empty() || site == "same-origin" || site == "none") return false;
  return !(head.method == "GET" && head.find(Name::sec_fetch_mode) == "navigate" && head.find(Name::sec_fetch_dest) == "document");
}

asio::awaitable<bool> is_stopped(LaneServer& lane, workspaces::WorkspaceId id) {
  auto all = co_await lane.services().manager.list(lane.lane, id.user);
  if (!all) co_return false;
  for (const auto& status : *all)
    if (status.id == id) co_return status.state != workspaces::WorkspaceState::running && status.state != workspaces::WorkspaceState::starting;
  co_return true;
}

// Makes a workspace (and Jupyter) run of which nobody knows that it does. nullopt: it does now. Only its owner, opening a page, starts a workspace: an old tab that polls in
// the background must not undo a stop.
asio::awaitable<std::optional<Response>> make_ready(LaneServer& lane, Connection& client, Target target, bool may_start) {
  if (!may_start && !lane.starts.running(target.id, target.jupyter())) {
    const bool stopped = co_await is_stopped(lane, target.id);
    const Error error{ErrorKind::unavailable, "The workspace is stopped. Its owner starts it from the portal."};
    if (stopped) co_return error_for(client.head, 503, "Stopped", error);
  }
  const auto task = lane.starts.begin(target.id, target.jupyter());
  const auto begun = std::chrono::steady_clock::now();
  while (!task->outcome()) {
    if (is_navigation(client.head) && std::chrono::steady_clock::now() - begun >= kShowProgressAfter)
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

// The row of the session list, and Jupyter's token. A Response: the workspace or the visitor's right has gone meanwhile.
std::optional<Response> enter(LaneServer& lane, Connection& client, ProxyPlan& plan, const Admitted& admitted, Admit admit, bool was_ready,
                              std::shared_ptr<Presences::Presence>& presence) {
  const Started* started = lane.upstreams.ready(plan.target.id, plan.target.jupyter());
  if (!started) return error_response(503, "unavailable", "The workspace has just stopped.");
  if (started->jupyter) plan.token = plan.target.jupyter() ? started->jupyter->token : std::string();
  presence = lane.presences.find_or_open(admitted.valid->session, plan.target.id, admitted.share, client.peer.label());
  // A revocation may have come while the workspace started, or just before the row existed that it would have ended.
  if (!was_ready || !presence->checked) {
    Response refusal;
    const auto again = admit(lane, client, plan.target, refusal);
    if (!again) return refusal;
    if (again->share != admitted.share) return not_found(client.head);
  }
  presence->checked = true;
  return std::nullopt;
}

}  // namespace

bool is_navigation(const RequestHead& head) { return head.method == "GET" && wants_page(head); }

bool asks_for_websocket(const RequestHead& head) {
  return head.upgrade && head.method == "GET" && head.minor == 1 && head.framing == Framing::none && list_has(head.find(Name::upgrade), "websocket");
}

Response not_found(const RequestHead& head) {
  return error_for(head, 404, "Not found", Error{ErrorKind::not_found, "There is nothing at this address."});
}

asio::awaitable<void> answer(Connection& client, Response response) {
  add_security_headers(response, false);
  (void)co_await client.send(std::move(response));
}

bool is_local_path(std::string_view path) {
  return path.starts_with('/') && !path.starts_with("//") && path.find_first_of(std::string_view("\r\n\\\0 ", 5)) == std::string_view::npos;
}

// The frame of this one lives as long as a WebSocket: it has one answer, not one for each refusal.
asio::awaitable<void> serve_visit(LaneServer& lane, Connection& client, ProxyPlan& plan, const Admitted& admitted, Admit admit) {
  std::optional<Response> refusal;
  const bool was_ready = lane.upstreams.ready(plan.target.id, plan.target.jupyter()) != nullptr;
  if (foreign_origin(lane, client, plan) || from_elsewhere(client.head)) {
    refusal = error_response(403, "denied", "This request came from another origin.");
  } else if (!was_ready) {
    auto starting = make_ready(lane, client, plan.target, is_navigation(client.head) && admitted.share.empty());
    refusal = co_await std::move(starting);
  }
  std::shared_ptr<Presences::Presence> presence;
  if (!refusal) refusal = enter(lane, client, plan, admitted, admit, was_ready, presence);
  if (refusal) co_return co_await answer(client, std::move(*refusal));
  Presences::Use use(presence, client.stream);
  co_await proxy_request(lane, client, plan, *presence->live);
}

}  // namespace berth::web
