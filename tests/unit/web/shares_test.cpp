// Ports opened to others: who, how long, what is told, and that the end is an end.
#include "tests/unit/web/harness.hpp"

namespace berth::web {
namespace {

const std::string kWebSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

class Sharing : public WebTest {
 protected:
  Sharing() : WebTest(test_limits(), "apps.example") {
    ada = login("ada");
    bob = login("bob");
    host = std::to_string(app.port()) + "--main--ada.apps.example:8444";
  }
  Answer share(const std::string& with, std::int64_t seconds = 3600) {
    return change("POST", "/api/v1/shares", ada, nlohmann::json({{"port", app.port()}, {"with", with}, {"lifetime_s", seconds}}).dump());
  }
  // The way of a browser through the portal: its cookie for the application, or an empty one.
  std::string enter(const Login& visitor) {
    const Answer away = get_host(host, "/", "Accept: text/html\r\n");
    const std::string to = away.field("Location"), ask = away.field("Set-Cookie");
    const std::string back = get(to.substr(to.find("/berth-cross")), cookie_line(visitor)).field("Location");
    if (back.empty()) return {};
    const std::string set = get_host(host, back.substr(back.find("/berth-cross")), "Cookie: " + ask.substr(0, ask.find(';')) + "\r\n").field("Set-Cookie");
    return "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
  }
  bool is_served(const std::string& cookie) {
    Wire browser = workspaces();
    browser.send(request_to(host, "GET", "/", cookie + "Connection: close\r\n"));
    if (!app.somebody_waits(300)) return false;
    Wire inside = app.accept();
    inside.receive_until("\r\n\r\n");
    inside.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return browser.answer().status == 200;
  }
  std::pair<Wire, Wire> open_websocket(const std::string& cookie) {
    Wire browser = workspaces();
    browser.send(request_to(host, "GET", "/ws", cookie + kWebSocket + "Origin: https://" + host + "\r\n"));
    Wire inside = app.accept_websocket(browser);
    return {std::move(browser), std::move(inside)};
  }

  Upstream app;
  Login ada, bob;
  std::string host;
};

TEST_F(Sharing, OpensOnePortToOneUser) {
  EXPECT_EQ(enter(bob), "");
  const Answer made = share("bob");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.json()["url"], "https://" + host + "/");
  const std::string cookie = enter(bob);
  EXPECT_TRUE(is_served(cookie));
  EXPECT_EQ(enter(login("eve")), "");
  const Answer sibling = get_host("9--main--ada.apps.example", "/", "Accept: text/html\r\n");
  const std::string to = sibling.field("Location");
  EXPECT_EQ(get(to.substr(to.find("/berth-cross")), cookie_line(bob)).status, 404);
  for (const Login& who : {ada, bob}) {
    const auto items = get("/api/v1/shares", cookie_line(who)).json()["items"];
    ASSERT_EQ(items.size(), 1u) << who.user;
    EXPECT_EQ(items[0]["owner"], "ada");
    EXPECT_EQ(items[0]["with"], "bob");
  }
}

TEST_F(Sharing, EverybodyIsWhoIsLoggedIn) {
  ASSERT_EQ(share("*").status, 201);
  EXPECT_TRUE(is_served(enter(bob)));
  EXPECT_TRUE(is_served(enter(login("eve"))));
  EXPECT_EQ(get_host(host, "/").status, 401);
}

TEST_F(Sharing, TheEndClosesWhatRestsOnIt) {
  const std::string id = share("bob").json()["id"];
  const std::string cookie = enter(bob);
  auto [browser, inside] = open_websocket(cookie);
  const std::string own = enter(ada);
  auto [owner, inside_of_owner] = open_websocket(own);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(change("DELETE", "/api/v1/shares/" + id, bob).status, 404);
  EXPECT_EQ(change("DELETE", "/api/v1/shares/" + id, ada).status, 200);
  EXPECT_TRUE(browser.ended());
  EXPECT_TRUE(inside.ended());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));  // a second, on a machine that is not busy
  EXPECT_EQ(get_host(host, "/", cookie).status, 404);
  owner.send("still here");
  EXPECT_EQ(inside_of_owner.receive_exactly(10), "still here");
  const auto rows = admin_call("GET", "/api/v1/audit?action=share").json()["items"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["action"], "share.create");
  EXPECT_EQ(rows[1]["object"], "ada " + id + " ada+main port " + std::to_string(app.port()) + " with bob");
}

TEST_F(Sharing, EndsWithItsTime) {
  share("bob", 60);
  const std::string cookie = enter(bob);
  auto [browser, inside] = open_websocket(cookie);
  clock.advance(std::chrono::seconds(60));
  EXPECT_TRUE(browser.ended());
  EXPECT_EQ(get_host(host, "/", cookie).status, 404);
  EXPECT_TRUE(get("/api/v1/shares", cookie_line(ada)).json()["items"].empty());
}

TEST_F(Sharing, EndsWithTheKeyOfItsOwner) {
  share("bob");
  const std::string cookie = enter(bob);
  auto [browser, inside] = open_websocket(cookie);
  EXPECT_TRUE(run_coroutine(directory->revoke_key({"admin-socket", auth::Role::admin, "unix", ""}, ada.key)).has_value());
  EXPECT_TRUE(browser.ended());
  EXPECT_EQ(get_host(host, "/", cookie).status, 404);
}

TEST_F(Sharing, EndsWithTheLoginOfTheVisitor) {
  share("bob");
  const std::string cookie = enter(bob);
  auto [browser, inside] = open_websocket(cookie);
  EXPECT_EQ(change("POST", "/api/v1/logout", bob).status, 200);
  EXPECT_TRUE(browser.ended());
  EXPECT_EQ(get_host(host, "/", cookie).status, 401);
}

TEST_F(Sharing, AVisitorStartsNothing) {
  share("bob");
  const std::string cookie = enter(bob);
  {
    const std::lock_guard lock(fake.mutex);
    fake.running = false;
  }
  EXPECT_EQ(get_host(host, "/", cookie + "Accept: text/html\r\n").status, 503);
  EXPECT_EQ(fake.starts, 0);
}

TEST_F(Sharing, JupyterIsNotShared) {
  share("*");
  host = "jupyter--main--ada.apps.example:8444";
  EXPECT_EQ(enter(bob), "");
}

TEST_F(Sharing, WhatIsAskedForIsChecked) {
  for (const char* body : {R"({"with":"bob"})", R"({"port":80})", R"({"port":0,"with":"bob"})", R"({"port":65536,"with":"bob"})", R"({"port":"80","with":"bob"})",
                           R"({"port":80,"with":"bob","lifetime_s":59})", R"({"port":80,"with":"bob","lifetime_s":2678401})", R"({"port":80,"with":"ada"})",
                           R"({"port":80,"with":"bob","workspace":"Not A Name"})", R"({"port":80,"with":1})"})
    EXPECT_EQ(change("POST", "/api/v1/shares", ada, body).status, 400) << body;
  EXPECT_EQ(share("nobody").status, 404);
  EXPECT_EQ(share("bob").status, 201);
  EXPECT_EQ(share("bob").status, 409);
  EXPECT_EQ(share("*").status, 201);
  EXPECT_EQ(get("/api/v1/shares?user=ada", cookie_line(bob)).status, 403);
}

class SharingByPath : public WebTest {};

TEST_F(SharingByPath, IsRefusedWithTheReason) {
  const Login ada = login("ada");
  add_user("bob");
  const Answer refused = change("POST", "/api/v1/shares", ada, R"({"port":80,"with":"bob"})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("web.wildcard_domain"), std::string::npos) << refused.body;
}

}  // namespace
}  // namespace berth::web
