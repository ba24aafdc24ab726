// Terminals: list, end, and the WebSocket to one.
#include <charconv>

#include "base/encoding.hpp"
#include "web/api.hpp"
#include "web/cookies.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"
#include "web/terminal_page.hpp"
#include "web/websocket.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kProtocol = "berth.terminal.1", kTokenProtocol = "berth.csrf.";

// An administrator's browser, where the site's policy lets them look at others' terminals.
bool may_watch(const ApiCall& call) { return call.lane.shared.options.watch_terminals && call.caller.is_admin() && call.caller.login.has_value(); }

// What is typed into a terminal is the user's own; others may `only_look`, if at all.
Result<workspaces::WorkspaceId> workspace_of(const ApiCall& call, bool only_look) {
  const Error missing{ErrorKind::not_found, "there is no such workspace"};
  if (call.caller.admin_socket) return missing;
  if (call.params[0] != call.caller.actor.name) {
    if (!only_look || !may_watch(call) || !call.lane.services().directory.find_user(*call.lane.reader, call.params[0])) return missing;
  }
  if (call.params[1].find('+') != std::string::npos) return missing;
  return workspaces::parse_login_name(call.params[0] + "+" + call.params[1]);
}

nlohmann::json to_json(const tunnels::TerminalInfo& terminal) {
  return {{"id", terminal.id},
          {"title", terminal.title},
          {"command", terminal.command},
          {"columns", terminal.size.columns},
          {"rows", terminal.size.rows},
          {"started_at", time_json(terminal.started)},
          {"detached_since", time_json(terminal.detached_since)},
          {"attached", terminal.attached},
          {"ended", terminal.ended},
          {"bytes", terminal.bytes}};
}

std::string_view field_of(const RequestHead& head, std::string_view name) {
  for (const Field& field : head.fields)
    if (equals_ignoring_case(field.name, name)) return field.value;
  return {};
}

// Of "a, b, c" the element that begins with `prefix`, without it.
std::string_view protocol_after(std::string_view list, std::string_view prefix) {
  while (!list.empty()) {
    std::string_view element = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), element.size() + 1));
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    if (element.starts_with(prefix)) return element.substr(prefix.size());
  }
  return {};
}

// nullopt: it is our own page that asks for a WebSocket.
std::optional<Response> refuse_upgrade(const ApiCall& call) {
  const RequestHead& head = call.client.head;
  const bool asked = head.upgrade && head.minor == 1 && head.method == "GET" && list_has(head.find(Name::upgrade), "websocket");
  if (!asked || head.find(Name::sec_websocket_version) != "13") {
    Response response = error_response(426, "invalid", "This path is a WebSocket.");
    response.headers.emplace_back("Upgrade", "websocket");
    return response;
  }
  const std::string_view origin = head.find(Name::origin), protocols = field_of(head, "Sec-WebSocket-Protocol");
  if (origin.empty() || !call.lane.shared.origins.is_own(origin, Face::portal, head.host, call.client.secure))
    return error_response(403, "denied", "This request did not come from Berth's own pages (Origin).");
  if (!equal_in_constant_time(protocol_after(protocols, kTokenProtocol), csrf_token(call.lane, call.caller.cookie)))
    return error_response(403, "denied", "The token is missing or wrong; reload the page.");
  if (!list_has(protocols, kProtocol)) return error_response(400, "invalid", "The subprotocol berth.terminal.1 is missing.");
  return std::nullopt;
}

Result<TerminalWish> read_wish(const ApiCall& call) {
  TerminalWish wish;
  wish.watch = call.query_flag("watch");
  const auto workspace = workspace_of(call, wish.watch);
  if (!workspace) return workspace.error();
  wish.workspace = *workspace;
  wish.id = call.query("id").value_or("");
  if (wish.id.size() > 16 || (wish.watch && wish.id.empty())) return Error{ErrorKind::not_found, "there is no such terminal"};
  wish.size = {static_cast<std::uint32_t>(call.query_number("columns", 80, 1000)), static_cast<std::uint32_t>(call.query_number("rows", 24, 1000))};
  if (const auto from = call.query("from")) {
    std::uint64_t offset = 0;
    const auto [end, error] = std::from_chars(from->data(), from->data() + from->size(), offset);
    if (error != std::errc{} || end != from->data() + from->size()) return Error{ErrorKind::invalid, "'from' is no number of bytes"};
    wish.from = offset;
  }
  return wish;
}

// Of somebody who looks on it is among the sessions of the terminal's user, who may end it; the key of another is nothing that those rest on.
auth::SessionRecord row_of(const ApiCall& call, const TerminalWish& wish) {
  auth::SessionRecord row;
  row.user = wish.workspace.user;
  row.workspace = wish.workspace.name;
  row.client_address = call.client.peer.label();
  if (wish.watch) {
    row.kind = "watch";
    row.detail = wish.id + " by " + call.caller.actor.name;
    return row;
  }
  row.kind = "terminal";
  row.detail = wish.id;
  row.key_fingerprint = call.caller.actor.key_fingerprint;
  return row;
}

}  // namespace

asio::awaitable<ApiReply> get_terminals(ApiCall& call) {
  const auto id = workspace_of(call, true);
  if (!id) co_return id.error();
  auto link = co_await workspaces::link_if_running(call.lane.services().manager, call.lane.lane, *id);
  if (!link) co_return link.error();
  nlohmann::json items = nlohmann::json::array();
  if (*link) {
    const auto terminals = co_await (*link)->terminals();
    if (!terminals) co_return terminals.error();
    for (const auto& terminal : *terminals) items.push_back(to_json(terminal));
  }
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> delete_terminal(ApiCall& call) {
  const auto id = workspace_of(call, false);
  if (!id) co_return id.error();
  auto link = co_await workspaces::link_if_running(call.lane.services().manager, call.lane.lane, *id);
  if (!link) co_return link.error();
  if (*link) (*link)->end_terminal(call.params[2]);
  co_return json_response(nlohmann::json::object());
}

asio::awaitable<ApiReply> get_terminal(ApiCall& call) {
  if (auto refused = refuse_upgrade(call)) co_return std::move(*refused);
  const auto wish = read_wish(call);
  if (!wish) co_return wish.error();
  const auto accept = websocket_accept(call.client.head.find(Name::sec_websocket_key));
  if (!accept || !call.caller.login) co_return error_response(400, "invalid", "Sec-WebSocket-Key is missing or malformed.");
  LaneServer& lane = call.lane;
  Connection& client = call.client;
  const std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + *accept +
                             "\r\nSec-WebSocket-Protocol: " + std::string(kProtocol) + "\r\n\r\n";
  client.close_after_this();
  lane.counters.count_response(101);
  const auto presence = lane.presences.find_or_open(call.caller.login->session, wish->workspace, {}, client.peer.label());
  auto end = std::make_shared<TerminalEnd>();
  end->act = [&client] { client.stream.close(); };
  Presences::Use use(presence, client.stream, [end] { end->now(); });
  auto live = lane.services().sessions.open(row_of(call, *wish), lane.executor(), [end](const std::string&) { end->now(); });
  const bool by_role = wish->workspace.user != call.caller.actor.name;
  const auto still_valid = [&lane, cookie = call.caller.cookie, by_role] {
    const auto login = lane.services().logins.check(*lane.reader, cookie);
    return login && (!by_role || login->user.role == auth::Role::admin);
  };
  if (wish->watch) call.audit("terminal.watch", wish->workspace.user + " " + wish->workspace.name + " " + wish->id, {});
  std::string outcome = "left";
  // The login may have ended between its check and the row that a revocation would have found.
  if (still_valid()) {
    const auto sent = co_await client.stream.write(answer);
    if (sent) outcome = co_await serve_terminal_page(lane, client, *wish, end, still_valid, live);
  }
  end->act = nullptr;
  lane.services().sessions.close(live, outcome);
  client.stream.close();
  co_return std::nullopt;
}

}  // namespace berth::web
