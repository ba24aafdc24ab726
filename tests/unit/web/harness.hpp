// The real web server on a lane of its own, on loopback, with a real store; in place of workspaces, a manager whose agent link connects to
// servers that the test itself plays. Clients and upstreams are blocking sockets of the test's thread.
#pragma once
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <thread>

#include "auth/audit.hpp"
#include "auth/campaigns.hpp"
#include "auth/migrations.hpp"
#include "auth/sessions.hpp"
#include "auth/shares.hpp"
#include "auth/tokens.hpp"
#include "auth/web_logins.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/key_line.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/web/fake_workspaces.hpp"
#include "tests/unit/web/wire.hpp"
#include "web/server.hpp"
#include "workspaces/usage.hpp"

namespace berth::web {

class WebTest : public testing::Test {
 protected:
  // `wildcard_domain`: the portal is https://box.example then, whatever connections it is reached by.
  explicit WebTest(WebLimits limits = test_limits(), const std::string& wildcard_domain = {});
  ~WebTest() override;
  static WebLimits test_limits();

  // To the portal, the workspace origin, the admin socket.
  Wire portal();
  Wire workspaces();
  Wire portal_tls();
  Wire admin();
  Wire ssh(const auth::Actor& actor);  // what the gateway makes for a command of a logged-in user
  std::string portal_origin() const { return "http://127.0.0.1:" + std::to_string(portal_port); }
  std::string workspace_origin() const { return "http://127.0.0.1:" + std::to_string(workspace_port); }

  auth::User add_user(const std::string& name, auth::Role role = auth::Role::user);
  auth::Key add_key(const std::string& user, int seed);
  struct Login { std::string user, cookie, csrf, key; };
  // A user with a key and a browser session made by link.
  Login login(const std::string& name, auth::Role role = auth::Role::user);
  // One more of both for a user that there is.
  Login login_by_another_key(const std::string& name, auth::Role role = auth::Role::user);
  // The cookie pair ("NAME=VALUE") of that browser on the workspace origin.
  std::string cross(const Login& login, const std::string& workspace = "main");

  // On the workspaces' listener, to a host of one's own choice.
  Answer get_host(const std::string& host, const std::string& path, const std::string& extra = {});

  // One request on a connection of its own; `extra` are header lines with CRLF.
  Answer get(const std::string& path, const std::string& extra = {});
  Answer get_workspace(const std::string& path, const std::string& extra = {});
  Answer change(const std::string& method, const std::string& path, const Login& login, const std::string& body = {});
  Answer admin_call(const std::string& method, const std::string& path, const std::string& body = {});
  Answer ssh_call(const auth::Actor& actor, const std::string& method, const std::string& path, const std::string& body = {});
  static std::string cookie_line(const Login& login) { return "Cookie: __Host-berth=" + login.cookie + "\r\n"; }

  TempDir dir;
  FakeClock clock;
  std::unique_ptr<Store> store;
  std::unique_ptr<auth::Directory> directory;
  std::unique_ptr<auth::Campaigns> campaigns;
  std::unique_ptr<auth::WebLogins> logins;
  std::unique_ptr<auth::Tokens> tokens;
  std::unique_ptr<auth::Shares> shares;
  std::unique_ptr<auth::Sessions> sessions;
  std::unique_ptr<auth::Audit> audit;
  FakeWorkspaces fake;
  std::unique_ptr<workspaces::Manager> manager;
  Lane lane{0};
  workspaces::UsageHistory usage;
  std::unique_ptr<WebServer> server;
  std::uint16_t portal_port = 0, workspace_port = 0, tls_port = 0;
  SslContextHandle client_tls;

  void stop(std::chrono::milliseconds drain = std::chrono::milliseconds(200));

 private:
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::thread thread_;
  bool stopped_ = false;
};

inline std::string request_to(std::string_view host, std::string_view method, std::string_view path, std::string_view extra = {}) {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" + std::string(extra) + "\r\n";
}

inline std::string request(std::string_view method, std::string_view path, std::string_view extra = {}, std::string_view body = {}) {
  std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + std::string(extra);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + std::string(body);
}

}  // namespace berth::web
