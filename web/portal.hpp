// The portal origin and the admin socket: who calls, and which part answers.
#pragma once
#include <boost/asio/awaitable.hpp>

#include "web/connection.hpp"

namespace berth::web {

boost::asio::awaitable<void> serve_portal(LaneServer& lane, Connection& client);
boost::asio::awaitable<void> serve_admin(LaneServer& lane, Connection& client);
boost::asio::awaitable<void> serve_ssh_face(LaneServer& lane, Connection& client);

}  // namespace berth::web
