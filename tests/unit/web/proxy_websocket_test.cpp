// WebSockets into a workspace: bytes both ways, and what ends them.
#include "tests/unit/web/proxy_fixture.hpp"

namespace berth::web {
namespace {

TEST_F(Proxy, WebSocketsPassBothWaysAndHalfClose) {
  auto [browser, inside] = open_websocket();
  for (int i = 0; i < 5; ++i) {
    browser.send("ping" + std::to_string(i));
    EXPECT_EQ(inside.receive_exactly(5), "ping" + std::to_string(i));
    inside.send("pong" + std::to_string(i));
    EXPECT_EQ(browser.receive_exactly(5), "pong" + std::to_string(i));
  }
  browser.finish_sending();
  EXPECT_TRUE(inside.ended());
  inside.send("last words");
  inside.finish_sending();
  EXPECT_EQ(browser.receive_all(), "last words");
}

TEST_F(Proxy, WebSocketsAreListedAndEndWithTheKey) {
  auto [browser, inside] = open_websocket();
  const auto live = sessions->live();
  ASSERT_EQ(live.size(), 1u);
  EXPECT_EQ(live[0].kind, "web");
  EXPECT_EQ(live[0].user, "ada");
  EXPECT_EQ(live[0].workspace, "main");
  EXPECT_EQ(live[0].key_fingerprint, ada.key);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(admin_call("DELETE", key_path(ada)).json()["ended_sessions"], 1);
  EXPECT_EQ(browser.receive_all(), "");
  EXPECT_EQ(inside.receive_all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
  EXPECT_EQ(get_workspace(path("/"), headers()).status, 401);
}

TEST_F(Proxy, WebSocketsEndWithTheLoginAndTheAccount) {
  {
    auto [browser, inside] = open_websocket();
    EXPECT_EQ(change("POST", "/api/v1/logout", ada).status, 200);
    EXPECT_EQ(browser.receive_all(), "");
  }
  ada = login("ada2");
  cookie = cross(ada);
  auto [browser, inside] = open_websocket("ada2");
  EXPECT_EQ(admin_call("PATCH", "/api/v1/users/ada2", R"({"disabled":true})").status, 200);
  EXPECT_EQ(browser.receive_all(), "");
}

TEST_F(Proxy, WhatEndsForOneGoesOnForAnother) {
  auto [browser, inside] = open_websocket();
  const Login eve = login("eve");
  cookie = cross(eve);
  auto [other, there] = open_websocket("eve");
  EXPECT_EQ(admin_call("PATCH", "/api/v1/users/eve", R"({"disabled":true})").status, 200);
  EXPECT_EQ(other.receive_all(), "");
  browser.send("still");
  EXPECT_EQ(inside.receive_exactly(5), "still");
  inside.send("here");
  EXPECT_EQ(browser.receive_exactly(4), "here");
}

TEST_F(Proxy, WebSocketsEndWhenTheLoginRunsOut) {
  auto [browser, inside] = open_websocket();
  clock.advance(std::chrono::hours(13));
  EXPECT_EQ(browser.receive_all(), "");
  EXPECT_EQ(inside.receive_all(), "");
}

TEST_F(Proxy, StoppingEndsWebSockets) {
  auto [browser, inside] = open_websocket();
  stop(std::chrono::milliseconds(50));
  EXPECT_EQ(browser.receive_all(), "");
  EXPECT_EQ(inside.receive_all(), "");
}

TEST_F(ImpatientProxy, AHalfClosedWebSocketEndsWhenTheOtherSideIsSilent) {
  auto [browser, inside] = open_websocket();
  browser.finish_sending();
  EXPECT_TRUE(inside.ended());
  EXPECT_EQ(browser.receive_all(), "");
  auto [other, server_side] = open_websocket();
  server_side.finish_sending();
  EXPECT_TRUE(other.ended());
  EXPECT_EQ(server_side.receive_all(), "");
}

TEST_F(Proxy, EndingTheRowEndsTheBrowserLogin) {
  auto [browser, inside] = open_websocket();
  const std::string id = sessions->live()[0].id;
  EXPECT_EQ(change("DELETE", "/api/v1/sessions/" + id, ada).json()["ended"], 1);
  EXPECT_EQ(browser.receive_all(), "");
  for (int i = 0; i < 100 && get("/api/v1/me", cookie_line(ada)).status != 401; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(get("/api/v1/me", cookie_line(ada)).status, 401);
}

}  // namespace
}  // namespace berth::web
