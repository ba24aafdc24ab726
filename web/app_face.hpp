// Applications on origins of their own (DESIGN 8): each port of a workspace, and its Jupyter, for its owner and for those it is shared with.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "web/api.hpp"
#include "web/connection.hpp"
#include "web/workspace_origin.hpp"

namespace berth::web {

// A request to LABEL.DOMAIN.
boost::asio::awaitable<void> serve_app(LaneServer& lane, Connection& client, std::string label);

// The portal's half of a login there: "/berth-cross?app=LABEL&bind=HEX&to=PATH" leads back with a one-time code that works only in the browser whose
// secret has that hash.
boost::asio::awaitable<Response> cross_to_app(LaneServer& lane, const Connection& client, Caller caller);

// Where "/w/USER/NAME/…" is served on an origin of its own; nullopt: there is none for it. `target`: the whole path with its query.
std::optional<std::string> app_url(const LaneServer& lane, const WorkspacePath& path, std::string_view target);

}  // namespace berth::web
