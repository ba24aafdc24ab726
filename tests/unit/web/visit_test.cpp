// Who gets into a workspace by the workspace origin, and what starts it.
#include "tests/unit/web/proxy_fixture.hpp"

namespace berth::web {
namespace {

TEST_F(Proxy, CrossesOverWithAOneTimeCode) {
  const Answer away = get("/w/ada/main/jupyter/lab?x=1&y=2", cookie_line(ada));
  EXPECT_EQ(away.status, 302);
  const std::string location = away.field("Location");
  EXPECT_EQ(location.find(workspace_origin() + "/berth-cross?code="), 0u) << location;
  const std::string link = location.substr(workspace_origin().size());
  const Answer there = get_workspace(link, cookie_line(ada));
  EXPECT_EQ(there.status, 302);
  EXPECT_EQ(there.field("Location"), "/w/ada/main/jupyter/lab?x=1&y=2");
  EXPECT_EQ(there.field("Set-Cookie").find("__Host-berth-w-ada.main="), 0u);
  EXPECT_NE(there.field("Set-Cookie").find("; Secure; HttpOnly; SameSite=Lax"), std::string::npos);
  EXPECT_EQ(get_workspace(link, cookie_line(ada)).status, 403);  // once
}

TEST_F(Proxy, ACodeWorksOnlyInTheBrowserThatMadeIt) {
  const Login bob = login("bob");
  const std::string location = get("/w/ada/main/", cookie_line(ada)).field("Location");
  EXPECT_EQ(get_workspace(location.substr(workspace_origin().size()), cookie_line(bob)).status, 403);
  const std::string other = get("/w/ada/main/", cookie_line(ada)).field("Location");
  EXPECT_EQ(get_workspace(other.substr(workspace_origin().size())).status, 403);
}

TEST_F(Proxy, ACodeLeadsNowhereElse) {
  for (const std::string to : {"https%3A%2F%2Fevil.example%2F", "%2F%2Fevil.example%2F", "%2Fw%2Fbob%2Fmain%2F", "%2Fw%2Fada%2Fother%2F", "%2Fw%2Fada%2Fmain%2F%0d%0aSet-Cookie:x",
                               "%2Fw%2Fada%2Fmain%5c..%5c", "%2F"}) {
    const std::string location = get("/w/ada/main/", cookie_line(ada)).field("Location");
    const std::string code = location.substr(workspace_origin().size(), location.find("&to=") - workspace_origin().size());
    const Answer answer = get_workspace(code + "&to=" + to, cookie_line(ada));
    EXPECT_EQ(answer.status, 400) << to;
    EXPECT_TRUE(answer.field("Set-Cookie").empty());
  }
}

TEST_F(Proxy, AnothersPathDoesNotExist) {
  add_user("bob");
  for (const std::string user : {"bob", "nobody"}) {
    EXPECT_EQ(get("/w/" + user + "/main/jupyter/lab", cookie_line(ada)).status, 404);
    EXPECT_EQ(get_workspace("/w/" + user + "/main/jupyter/lab", headers() + "").status, 401);                                  // who are you?
    EXPECT_EQ(get_workspace("/w/" + user + "/main/jupyter/lab", "Cookie: __Host-berth=" + ada.cookie + "; " + cookie + "\r\n").status, 404);
    EXPECT_EQ(get_workspace("/w/" + user + "/main/", "Cookie: __Host-berth=" + ada.cookie + "; __Host-berth-w-" + user + ".main=" + cookie.substr(cookie.find('=') + 1) + "\r\n").status, 404);
  }
  EXPECT_EQ(get_workspace("/w/ada/other/port/1/", headers()).status, 401);  // a cookie is for one workspace
  EXPECT_EQ(get("/w/ada/main/").field("Location"), "/login?next=/w/ada/main/");
  const Answer back = get_workspace("/w/ada/main/jupyter/lab?a=b", "Accept: text/html\r\n");
  EXPECT_EQ(back.field("Location"), portal_origin() + "/w/ada/main/jupyter/lab?a=b");
}

TEST_F(Proxy, ForeignOriginsChangeNothing) {
  for (const std::string& origin : std::vector<std::string>{"https://evil.example", "null", portal_origin()}) {
    Wire browser = workspaces();
    send(browser, "POST", "/", "Origin: " + origin + "\r\n");
    EXPECT_EQ(browser.answer().status, 403) << origin;
    browser.send(request("GET", path("/ws"), websocket(origin)));
    EXPECT_EQ(browser.answer().status, 403) << origin;
  }
  EXPECT_FALSE(app.somebody_waits());
}

// What was found good is remembered for a moment: not beyond the end of its key, nor of its time.
TEST_F(Proxy, ACookieThatWasGoodIsNotGoodAfterItsEnd) {
  Wire browser = workspaces();
  send(browser, "GET", "/");
  Wire inside = app.accept();
  for (int i = 0; i < 2; ++i) {
    if (i == 1) send(browser, "GET", "/");
    inside.receive_until("\r\n\r\n");
    inside.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    ASSERT_EQ(browser.answer().status, 200);
  }
  ASSERT_TRUE(run_coroutine(directory->revoke_key({"admin-socket", auth::Role::admin, "unix", ""}, ada.key)).has_value());
  Wire again = workspaces();
  send(again, "GET", "/");
  EXPECT_EQ(again.answer().status, 401);
}

TEST_F(Proxy, ACookieThatWasGoodRunsOut) {
  Wire browser = workspaces();
  send(browser, "GET", "/");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(browser.answer().status, 200);
  clock.advance(std::chrono::hours(13));
  Wire again = workspaces();
  send(again, "GET", "/");
  EXPECT_EQ(again.answer().status, 401);
}

TEST_F(Proxy, ShowsProgressThenTurnsIntoTheApplication) {
  fake.start_takes = std::chrono::milliseconds(2'000);
  const Answer page = get_workspace(path("/"), headers("Accept: text/html\r\n"));
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("http-equiv=\"refresh\""), std::string::npos);
  EXPECT_NE(page.body.find("Starting &lt;your&gt; workspace"), std::string::npos) << page.body;
  EXPECT_EQ(page.field("Content-Security-Policy").find("script"), std::string::npos);
  Wire browser = workspaces();
  send(browser, "GET", "/", "Accept: text/html\r\n");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp");
  EXPECT_EQ(browser.answer().body, "app");
  EXPECT_EQ(fake.starts, 1);
}

TEST_F(Proxy, AFailedStartSaysWhy) {
  fake.start_failure = "no room for another workspace\nlog: <b>disk full</b>";
  const Answer page = get_workspace(path("/"), headers("Accept: text/html\r\n"));
  EXPECT_EQ(page.status, 503);
  EXPECT_NE(page.body.find("log: &lt;b&gt;disk full"), std::string::npos) << page.body;
  EXPECT_EQ(page.body.find("refresh"), std::string::npos);
}

TEST_F(Proxy, OnlyAPersonStartsAStoppedWorkspace) {
  fake.running = false;
  EXPECT_EQ(get_workspace(path("/api/poll"), headers("Accept: */*\r\n")).status, 503);
  EXPECT_EQ(fake.starts, 0);
}

}  // namespace
}  // namespace berth::web
