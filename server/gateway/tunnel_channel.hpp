// direct-tcpip and direct-streamlocal@openssh.com: the connection leaves from inside the workspace, so a tunnel reaches what
// the workspace reaches and never the gateway's own network.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "server/gateway/context.hpp"

namespace berth::server {

boost::asio::awaitable<void> serve_tunnel(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel);

// Relays an open channel and an open socket until both directions have ended; the outcome for the session's row.
boost::asio::awaitable<std::string> run_tunnel(std::shared_ptr<ssh::Channel> channel, tunnels::WorkspaceSocket socket,
                                               std::shared_ptr<auth::LiveSession> live);

}  // namespace berth::server
