// The reverse proxy: one request into a workspace and its answer, or a WebSocket, as raw bytes with backpressure both ways.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <string>

#include "auth/sessions.hpp"
#include "web/connection.hpp"
#include "web/proxy_head.hpp"
#include "web/upstream.hpp"

namespace berth::web {

// Where a request goes and under which names; owns what ProxyRequest and ProxyResponse look at.
struct ProxyPlan {
  Target target;
  std::string upstream_target;  // path and query
  std::string upstream_host, public_origin;
  std::string prefix;           // empty: nothing was cut off the path
  std::string workspace_path;   // "/w/ada/main/"
  std::string token;            // Jupyter's
  bool websocket = false;
  bool own_origin = false;      // public_origin is of this target alone
};

// Serves the client's current request from the workspace, down to the last byte of the answer. Failures are answered (502, 504) as long as
// nothing has been sent; later ones close the connection, so that a cut answer is seen as cut.
boost::asio::awaitable<void> proxy_request(LaneServer& lane, Connection& client, const ProxyPlan& plan, auth::LiveSession& live);

// An error as a page for people or as JSON for programs, by the request's Accept.
Response error_for(const RequestHead& head, int status, std::string_view title, const Error& error);
bool wants_page(const RequestHead& head);

}  // namespace berth::web
