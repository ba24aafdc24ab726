// A terminal of a workspace on a WebSocket of the portal (docs/api.md, Terminals).
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "auth/sessions.hpp"
#include "tunnels/agent_link.hpp"
#include "web/connection.hpp"
#include "workspaces/manager.hpp"

namespace berth::web {

// What the page asked for.
struct TerminalWish {
  workspaces::WorkspaceId workspace;
  std::string id;  // empty: a new one
  tunnels::TerminalSize size;
  std::optional<std::uint64_t> from;
};

// Serves the upgraded connection until the page or the terminal has ended. `killed` is set when somebody ended the row; `still_valid` says
// whether the page's login still is: without it the terminal is hung up, else it goes on.
struct TerminalGuards {
  std::shared_ptr<const bool> killed;
  std::function<bool()> still_valid;
};
boost::asio::awaitable<std::string> serve_terminal_page(LaneServer& lane, Connection& client, TerminalWish wish, TerminalGuards guards,
                                                        std::shared_ptr<auth::LiveSession> live);

}  // namespace berth::web
