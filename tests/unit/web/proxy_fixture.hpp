// A user whose browser is in their workspace, and the servers there, which the test itself plays.
#pragma once
#include <utility>

#include "base/encoding.hpp"
#include "tests/unit/web/harness.hpp"

namespace berth::web {

class Proxy : public WebTest {
 protected:
  explicit Proxy(WebLimits limits = test_limits()) : WebTest(limits), jupyter((dir.path() / "jupyter.sock").string()) {
    fake.jupyter_socket = (dir.path() / "jupyter.sock").string();
    ada = login("ada");
    cookie = cross(ada);
  }
  std::string headers(const std::string& extra = {}) const { return "Cookie: " + cookie + "\r\n" + extra; }
  std::string path(const std::string& rest = "/", const std::string& place = "ada/main") const { return "/w/" + place + "/port/" + std::to_string(app.port()) + rest; }
  // Of the key behind a login, in the API.
  static std::string key_path(const Login& login) { return "/api/v1/keys/" + percent_encode(login.key); }
  void send(Wire& wire, std::string_view method, const std::string& rest, const std::string& extra = {}, std::string_view body = {}) {
    wire.send(request(method, path(rest), headers(extra), body));
  }
  std::string websocket(const std::string& origin) const {
    return headers("Origin: " + origin + "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  }
  // A WebSocket into the workspace of the user whose `cookie` it is, up to the point where both ends speak freely.
  std::pair<Wire, Wire> open_websocket(const std::string& user = "ada", const std::string& workspace = "main") {
    Wire browser = workspaces();
    browser.send(request("GET", path("/ws", user + "/" + workspace), websocket("http://127.0.0.1")));
    Wire inside = app.accept_websocket(browser);
    return {std::move(browser), std::move(inside)};
  }

  Upstream app, jupyter;
  Login ada;
  std::string cookie;
};

// One that waits for nobody.
class ImpatientProxy : public Proxy {
 protected:
  static WebLimits limits() {
    WebLimits limits = test_limits();
    limits.upstream_head = limits.half_open = std::chrono::milliseconds(150);
    return limits;
  }
  ImpatientProxy() : Proxy(limits()) {}
};

}  // namespace berth::web
