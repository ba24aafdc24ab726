// What a person reads who opens a shell on a terminal. Scripts, commands and file transfers get none of it.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "server/gateway/context.hpp"
#include "tunnels/agent_link.hpp"

namespace berth::server {

// The site's message of the day, what the workspace does now, terminals that were left and still run, and environments whose verification failed. A
// workspace that does not answer within half a second is not waited for.
boost::asio::awaitable<void> welcome(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, std::shared_ptr<tunnels::AgentLink> link);

}  // namespace berth::server
