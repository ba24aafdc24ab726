// What the reverse proxy sends on: heads rewritten from one hop to the next, as pure functions.
#pragma once
#include <string>
#include <string_view>

#include "web/http_head.hpp"

namespace berth::web {

struct ProxyRequest {
  std::string_view target;          // path and query for the workspace
  std::string_view host;            // Host for the workspace
  std::string_view public_host;     // Host as the browser sent it
  std::string_view public_origin;   // "https://box:8444"
  std::string_view prefix;          // "/w/ada/main/port/8000"; empty: the path was not shortened
  std::string_view client_address;
  bool secure = true;
  std::string_view token;           // Jupyter's: replaces Authorization; empty: Authorization passes
  bool upgrade = false;             // ask for the WebSocket protocol
  bool own_origin = false;          // the browser sees an origin of this application only
};

// The head for the workspace. Taken out: hop-by-hop fields and those that Connection names, forwarding fields from outside,
// Expect (we answered it), and every cookie of Berth's own.
std::string rewrite_request(const RequestHead& head, const ProxyRequest& proxy);

struct ProxyResponse {
  std::string_view prefix;         // as above: an absolute Location gets it in front
  std::string_view host;           // Location's http://HOST/… is the workspace itself
  std::string_view workspace_path; // "/w/ada/main/": a service worker may not ask for more
  bool close = false;              // say Connection: close
  bool keep_alive = false;         // say Connection: keep-alive, to a client of HTTP/1.0
  bool upgrade = false;            // 101: keep Upgrade and Connection
  bool drop_framing = false;       // there is no body, or it is sent without chunks until the connection closes
};

// The head for the browser. Taken out: hop-by-hop fields, cookies with Berth's names, the Domain of others (it would give them to the portal and
// to other workspaces), and what would speak for the whole host
// (Strict-Transport-Security, Clear-Site-Data, Alt-Svc, reporting, service workers outside the workspace's path).
std::string rewrite_response(const ResponseHead& head, const ProxyResponse& proxy);

// Is this a cookie name that only Berth uses?
bool is_berth_cookie(std::string_view name);
// A Cookie field's value without Berth's cookies; may be empty.
std::string strip_berth_cookies(std::string_view cookies);

}  // namespace berth::web
