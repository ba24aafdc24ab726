// A "session" channel (RFC 4254 6): shell, exec or subsystem in the workspace, or a `berth …` command of the gateway.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "server/gateway/context.hpp"

namespace berth::server {

boost::asio::awaitable<void> serve_session(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel);

}  // namespace berth::server
