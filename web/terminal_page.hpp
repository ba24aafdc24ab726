// A terminal of a workspace on a WebSocket of the portal (docs/api.md, Terminals).
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

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
  bool watch = false;  // only looks, and neither starts nor ends anything
};

// How a page is ended from outside: somebody ended its row, or the login behind it is over. On the lane.
struct TerminalEnd {
  bool happened = false;
  std::function<void()> act;  // what has to be done at this stage
  void now() {
    if (!std::exchange(happened, true) && act) act();
  }
};

// Serves the upgraded connection until the page or the terminal has ended, or `end`. `still_valid` says whether the page's login still is: without it, and
// after `end`, the terminal is hung up, else it goes on.
boost::asio::awaitable<std::string> serve_terminal_page(LaneServer& lane, Connection& client, TerminalWish wish, std::shared_ptr<TerminalEnd> end,
                                                        std::function<bool()> still_valid, std::shared_ptr<auth::LiveSession> live);

}  // namespace berth::web
