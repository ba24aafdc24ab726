// What the shared origin of workspaces and the applications' own origins have in common: who comes, from which page, whether the workspace runs,
// and the row of the session list under which the request counts.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "auth/web_logins.hpp"
#include "web/proxy.hpp"

namespace berth::web {

// Somebody who may use a target now.
struct Admitted {
  std::shared_ptr<const auth::WebLogins::Valid> valid;
  std::string share;  // the share by which another than its owner may; empty: the owner
};
// nullopt: `refusal` is the answer. Asked again when a revocation may have come in between.
using Admit = std::optional<Admitted> (*)(LaneServer& lane, const Connection& client, const Target& target, Response& refusal);

// Somebody opens a page: only this may lead to a login or start a workspace.
bool is_navigation(const RequestHead& head);
// A WebSocket, or else a plain request.
bool asks_for_websocket(const RequestHead& head);
Response not_found(const RequestHead& head);
// Sends an answer of our own.
boost::asio::awaitable<void> answer(Connection& client, Response response);

// Serves the request by `plan`, which gets Jupyter's token here, for somebody who was admitted. Both outlive the call.
boost::asio::awaitable<void> serve_visit(LaneServer& lane, Connection& client, ProxyPlan& plan, const Admitted& admitted, Admit admit);

// A path that may follow an origin in a redirect: begins with one '/', printable, no backslash.
bool is_local_path(std::string_view path);

}  // namespace berth::web
