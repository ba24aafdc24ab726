// Applications on origins of their own: who gets in, by which way, and what stays apart.
#include "tests/unit/web/harness.hpp"

namespace berth::web {
namespace {

const std::string kPage = "Accept: text/html\r\n";

class Apps : public WebTest {
 protected:
  Apps() : WebTest(test_limits(), "apps.example") {
    ada = login("ada");
    host = std::to_string(app.port()) + "--main--ada.apps.example:8444";
  }
  static std::string pair_of(const std::string& set_cookie) { return set_cookie.substr(0, set_cookie.find(';')); }
  static std::string path_of(const std::string& url) { return url.substr(url.find('/', url.find("://") + 3)); }

  // The way of a browser from an application's address through the portal and back; answers the last response.
  Answer walk(const std::string& to_host, const Login& login, const std::string& path = "/") {
    const Answer away = get_host(to_host, path, kPage);
    EXPECT_EQ(away.status, 302);
    ask = pair_of(away.field("Set-Cookie"));
    EXPECT_EQ(away.field("Location").find("https://box.example/berth-cross?"), 0u) << away.field("Location");
    const Answer portal = get(path_of(away.field("Location")), cookie_line(login));
    if (portal.status != 302) return portal;
    EXPECT_EQ(portal.field("Location").find("https://" + to_host + "/berth-cross?code="), 0u) << portal.field("Location");
    link = path_of(portal.field("Location"));
    return get_host(to_host, link, "Cookie: " + ask + "\r\n");
  }
  std::string enter(const std::string& to_host, const Login& login) {
    const Answer there = walk(to_host, login);
    EXPECT_EQ(there.status, 302);
    EXPECT_EQ(there.field("Location"), "/");
    return pair_of(there.field("Set-Cookie"));
  }

  Upstream app;
  Login ada;
  std::string host, ask, link;
};

TEST_F(Apps, AreEnteredThroughThePortal) {
  const Answer away = get_host(host, "/a/b?c=d&e", kPage);
  EXPECT_EQ(away.status, 302);
  EXPECT_EQ(away.field("Set-Cookie").find("__Host-berth-ask="), 0u);
  EXPECT_NE(away.field("Set-Cookie").find("; Path=/; Secure; HttpOnly; SameSite=Lax"), std::string::npos);
  EXPECT_EQ(away.field("Set-Cookie").find("Domain"), std::string::npos);
  const Answer there = walk(host, ada, "/a/b?c=d&e");
  EXPECT_EQ(there.status, 302);
  EXPECT_EQ(there.field("Location"), "/a/b?c=d&e");
  EXPECT_EQ(there.field("Set-Cookie").find("__Host-berth-app="), 0u);
  EXPECT_EQ(there.field("Set-Cookie").find("Domain"), std::string::npos);
  EXPECT_EQ(get_host(host, link, "Cookie: " + ask + "\r\n").status, 403);  // once
}

TEST_F(Apps, AreServedAsIfAtTheirOwnRoot) {
  const std::string cookie = enter(host, ada);
  Wire browser = workspaces();
  browser.send(request_to(host, "POST", "/sub?x=1", "Cookie: " + cookie + "; session=1; __Host-berth=planted\r\nOrigin: https://" + host + "\r\nContent-Length: 0\r\n"));
  Wire inside = app.accept();
  const std::string head = inside.receive_until("\r\n\r\n");
  EXPECT_EQ(head.find("POST /sub?x=1 HTTP/1.1\r\nHost: localhost:" + std::to_string(app.port()) + "\r\n"), 0u) << head;
  EXPECT_NE(head.find("\r\nCookie: session=1\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nX-Forwarded-Host: " + host + "\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("Origin:"), std::string::npos);
  EXPECT_EQ(head.find("Prefix"), std::string::npos);
  EXPECT_EQ(head.find("__Host"), std::string::npos);
  inside.send("HTTP/1.1 302 Found\r\nLocation: http://localhost:" + std::to_string(app.port()) + "/next\r\nSet-Cookie: session=2; Domain=apps.example; Path=/\r\n"
              "Set-Cookie: __Host-berth-app=evil; Path=/; Secure\r\nService-Worker-Allowed: /\r\nContent-Length: 0\r\n\r\n");
  const Answer answer = browser.answer();
  EXPECT_EQ(answer.field("Location"), "/next");
  EXPECT_EQ(answer.fields("Set-Cookie"), std::vector<std::string>{"session=2; Path=/"});
  EXPECT_EQ(answer.field("Service-Worker-Allowed"), "/");
}

TEST_F(Apps, ACodeWorksOnlyInTheBrowserThatAsked) {
  walk(host, ada);
  const Answer again = get_host(host, "/", kPage);
  const Answer portal = get(path_of(again.field("Location")), cookie_line(ada));
  const std::string planted = path_of(portal.field("Location"));
  EXPECT_EQ(get_host(host, planted).status, 403);
  EXPECT_EQ(get_host(host, planted, "Cookie: " + ask + "\r\n").status, 403);  // another browser's secret
  EXPECT_EQ(get_host(host, planted, "Cookie: __Host-berth-ask=\r\n").status, 403);
  EXPECT_EQ(get_host(host, planted, "Cookie: " + pair_of(again.field("Set-Cookie")) + "\r\n").status, 302);
}

TEST_F(Apps, TabsThatOpenTogetherAllArrive) {
  const Answer first = get_host(host, "/1", kPage);
  const std::string secret = "Cookie: " + pair_of(first.field("Set-Cookie")) + "\r\n";
  const Answer second = get_host(host, "/2", kPage + secret);
  EXPECT_EQ(pair_of(second.field("Set-Cookie")), pair_of(first.field("Set-Cookie")));
  for (const Answer* away : {&first, &second}) {
    const Answer portal = get(path_of(away->field("Location")), cookie_line(ada));
    const Answer there = get_host(host, path_of(portal.field("Location")), secret);
    EXPECT_EQ(there.status, 302);
    EXPECT_EQ(there.fields("Set-Cookie").size(), 1u);  // and the secret stays for the other
  }
}

TEST_F(Apps, ACodeWorksOnlyForTheApplicationItWasMadeFor) {
  walk(host, ada);
  const Answer again = get_host(host, "/", kPage);
  const Answer portal = get(path_of(again.field("Location")), cookie_line(ada));
  const std::string other = "9--main--ada.apps.example:8444";
  const Answer there = get_host(other, path_of(portal.field("Location")), "Cookie: " + pair_of(again.field("Set-Cookie")) + "\r\n");
  EXPECT_EQ(there.status, 403);
  EXPECT_TRUE(there.field("Set-Cookie").empty());
}

TEST_F(Apps, ACookieIsForOneApplication) {
  const std::string cookie = "Cookie: " + enter(host, ada) + "\r\n";
  for (const std::string& other : std::vector<std::string>{"9--main--ada.apps.example", "jupyter--main--ada.apps.example", std::to_string(app.port()) + "--nlp--ada.apps.example",
                                  std::to_string(app.port()) + "--main--bob.apps.example"})
    EXPECT_EQ(get_host(other, "/", cookie).status, 401) << other;
  EXPECT_EQ(get("/api/v1/me", "Cookie: __Host-berth=" + cookie.substr(cookie.find('=') + 1)).status, 401);
}

TEST_F(Apps, AnothersDoNotExist) {
  const Login bob = login("bob");
  EXPECT_EQ(walk(host, bob).status, 404);
  EXPECT_EQ(walk("80--main--nobody.apps.example:8444", bob).status, 404);
  EXPECT_EQ(get_host("x.apps.example", "/", kPage).status, 404);
  EXPECT_EQ(get_host("a.8000--main--ada.apps.example", "/", kPage).status, 404);
}

TEST_F(Apps, WithoutLoginThePortalAsksForOne) {
  const Answer away = get_host(host, "/x?y", kPage);
  const Answer portal = get(path_of(away.field("Location")), kPage);
  EXPECT_EQ(portal.status, 302);
  EXPECT_EQ(portal.field("Location").find("/login?next=/berth-cross%3Fapp%3D"), 0u) << portal.field("Location");
  EXPECT_EQ(get_host(host, "/x").status, 401);  // a script is told so
}

TEST_F(Apps, ThePortalLeadsNowhereElse) {
  const std::string hash(64, 'a');
  for (const std::string& query : std::vector<std::string>{"app=evil.example&bind=" + hash + "&to=/", "app=8000--main--ada&bind=x&to=/", "app=8000--main--ada&bind=" + hash + "&to=//evil.example/",
                                  "app=8000--main--ada&bind=" + hash + "&to=https://evil.example/", "app=8000--main--ada&bind=" + hash + "&to=%2Fx%0d%0aSet-Cookie:x",
                                  "app=8000--main--ada.evil.example%2F&bind=" + hash + "&to=/", "app=8000--main--ada&bind=" + hash, std::string("")})
    EXPECT_EQ(get("/berth-cross?" + query, cookie_line(ada)).status, 404) << query;
  walk(host, ada);
  const std::string bad = link.substr(0, link.find("&to="));
  for (const std::string to : {"//evil.example/", "https://evil.example/", "%5c%5cevil.example"}) EXPECT_EQ(get_host(host, bad + "&to=" + to, "Cookie: " + ask + "\r\n").status, 400) << to;
}

TEST_F(Apps, HaveNoOtherAddress) {
  const std::string port = std::to_string(app.port());
  for (const auto& [path, rest] : std::vector<std::pair<std::string, std::string>>{{"/port/" + port + "/x?y=1", "/x?y=1"}, {"/port/" + port, "/"}, {"/port/" + port + "?q", "/?q"}}) {
    EXPECT_EQ(get("/w/ada/main" + path).field("Location"), "https://" + host + rest) << path;
    EXPECT_EQ(get_workspace("/w/ada/main" + path).field("Location"), "https://" + host + rest) << path;
  }
  for (const std::string path : {"", "/", "/jupyter", "/jupyter/lab"})
    EXPECT_EQ(get("/w/ada/main" + path).field("Location"), "https://jupyter--main--ada.apps.example:8444/w/ada/main/jupyter/lab") << path;
}

TEST_F(Apps, ANameThatIsTooLongKeepsItsPath) {
  const Login user = login(std::string(32, 'u'));
  const std::string path = "/w/" + user.user + "/" + std::string(32, 'w') + "/port/80/";
  EXPECT_EQ(get(path, cookie_line(user)).field("Location").find("https://127.0.0.1"), std::string::npos);
  EXPECT_NE(get(path, cookie_line(user)).field("Location").find("/berth-cross?code="), std::string::npos);
}

TEST_F(Apps, ThePortalHasNoSuchName) {
  Wire wire = portal();
  wire.send(request_to(host, "GET", "/api/v1/me", cookie_line(ada)));
  EXPECT_EQ(wire.answer().status, 421);
  EXPECT_EQ(get_host(host, "/api/v1/me", cookie_line(ada)).status, 401);
}

TEST_F(Apps, OnlyTheirOwnPagesUseThem) {
  const std::string cookie = "Cookie: " + enter(host, ada) + "\r\n";
  const std::string websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  for (const std::string& origin : std::vector<std::string>{"https://9--main--ada.apps.example:8444", "https://box.example", "null", "http://" + host}) {
    Wire wire = workspaces();
    wire.send(request_to(host, "POST", "/", cookie + "Origin: " + origin + "\r\nContent-Length: 0\r\n"));
    EXPECT_EQ(wire.answer().status, 403) << origin;
    EXPECT_EQ(get_host(host, "/", cookie + websocket + "Origin: " + origin + "\r\n").status, 403) << origin;
  }
  // Siblings are of the same site, so the cookie comes along: reads, frames and scripts are refused too.
  for (const std::string fetch : {"same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script", "same-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty",
                                  "same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe", "cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: object"})
    EXPECT_EQ(get_host(host, "/", cookie + "Sec-Fetch-Site: " + fetch + "\r\n").status, 403) << fetch;
  EXPECT_FALSE(app.somebody_waits(0));
  Wire browser = workspaces();
  browser.send(request_to(host, "GET", "/", cookie + "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"));
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(browser.answer().status, 200);
}

TEST_F(Apps, EndWithTheLogin) {
  const std::string cookie = "Cookie: " + enter(host, ada) + "\r\n";
  EXPECT_EQ(change("POST", "/api/v1/logout", ada).status, 200);
  EXPECT_EQ(get_host(host, "/", cookie).status, 401);
}

TEST_F(Apps, JupyterHasItsOwnOrigin) {
  Upstream jupyter((dir.path() / "jupyter.sock").string());
  {
    const std::lock_guard lock(fake.mutex);
    fake.jupyter_socket = (dir.path() / "jupyter.sock").string();
  }
  const std::string there = "jupyter--main--ada.apps.example:8444", cookie = "Cookie: " + enter(there, ada) + "\r\n";
  EXPECT_EQ(get_host(there, "/", cookie).field("Location"), "/w/ada/main/jupyter/lab");
  EXPECT_EQ(get_host(there, "/w/bob/main/jupyter/lab", cookie).status, 404);
  Wire browser = workspaces();
  browser.send(request_to(there, "GET", "/w/ada/main/jupyter/api", cookie));
  Wire inside = jupyter.accept();
  const std::string head = inside.receive_until("\r\n\r\n");
  EXPECT_EQ(head.find("GET /w/ada/main/jupyter/api HTTP/1.1\r\nHost: " + there + "\r\n"), 0u) << head;
  EXPECT_NE(head.find("Authorization: token s3cret-token"), std::string::npos);
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(browser.answer().status, 200);
}

}  // namespace
}  // namespace berth::web
