// Logins by the HTTP API: by link, by code, over SSH; and that their end ends what rests on them.
#include "tests/unit/web/api_fixture.hpp"

namespace berth::web {
namespace {

TEST_F(Api, SshSpeaksForTheUserAsTheyAreNow) {
  const Login ada = login("ada");
  const auth::Actor actor{"ada", auth::Role::admin, "192.0.2.1:99", ada.key};  // a role that is no longer hers
  EXPECT_EQ(ssh_call(actor, "GET", "/api/v1/users").status, 403);
  const nlohmann::json me = ssh_call(actor, "GET", "/api/v1/ssh/whoami").json();
  EXPECT_EQ(me["user"]["role"], "user");
  EXPECT_EQ(me["key"]["fingerprint"], ada.key);
  EXPECT_EQ(me["workspace"], "main");
  ASSERT_EQ(admin_call("PATCH", "/api/v1/users/ada", R"({"role":"auditor"})").status, 200);
  EXPECT_EQ(ssh_call(actor, "GET", "/api/v1/users").status, 200);
  ASSERT_EQ(admin_call("PATCH", "/api/v1/users/ada", R"({"disabled":true})").status, 200);
  EXPECT_EQ(ssh_call(actor, "GET", "/api/v1/ssh/whoami").status, 401);
  EXPECT_EQ(ssh_call(actor, "GET", "/login").status, 404);
}

TEST_F(Api, SshLogsABrowserIn) {
  const Login ada = login("ada");
  const auth::Actor actor{"ada", auth::Role::user, "192.0.2.1:99", ada.key};
  const std::string url = ssh_call(actor, "POST", "/api/v1/ssh/link").json().value("url", "");
  ASSERT_EQ(url.find("https://box.example:8443/login#token="), 0U);
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/login/link", kOrigin, nlohmann::json({{"token", url.substr(url.find('=') + 1)}}).dump()));
  EXPECT_EQ(wire.answer().json()["user"], "ada");
  Wire page = portal();
  page.send(request("POST", "/api/v1/login/code", kOrigin + std::string("User-Agent: Test\r\n")));
  const std::string body = nlohmann::json({{"code", page.answer().json()["code"]}}).dump();
  const std::string look = nlohmann::json({{"code", nlohmann::json::parse(body)["code"]}, {"dry_run", true}}).dump();
  EXPECT_EQ(ssh_call(actor, "POST", "/api/v1/ssh/approve", look).json()["user_agent"], "Test");  // and nothing is approved
  const Answer approved = ssh_call(actor, "POST", "/api/v1/ssh/approve", body);
  EXPECT_EQ(approved.json()["user_agent"], "Test");
  EXPECT_EQ(ssh_call(actor, "POST", "/api/v1/ssh/approve", body).status, 404);
}

TEST_F(Api, LogsInByLinkOnce) {
  add_user("ada");
  const auth::Key key = add_key("ada", 100);
  const std::string token = run_coroutine(logins->make_link({"ada", auth::Role::user, "127.0.0.1", key.fingerprint})).value();
  const std::string body = nlohmann::json({{"token", token}}).dump();
  const auto redeem = [&](const std::string& extra) {
    Wire wire = portal();
    wire.send(request("POST", "/api/v1/login/link", extra, body));
    return wire.answer();
  };
  EXPECT_EQ(redeem("").status, 403);                               // no Origin
  EXPECT_EQ(redeem("Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(redeem("Origin: null\r\n").status, 403);
  const Answer good = redeem(kOrigin);
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.json()["user"], "ada");
  const std::string cookie = good.field("Set-Cookie");
  EXPECT_EQ(cookie.find("__Host-berth="), 0u);
  for (const std::string attribute : {"; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"}) EXPECT_NE(cookie.find(attribute), std::string::npos) << attribute;
  EXPECT_EQ(cookie.find("Domain"), std::string::npos);
  EXPECT_EQ(good.field("Cache-Control"), "no-store");
  EXPECT_EQ(redeem(kOrigin).status, 404);
}

TEST_F(Api, LogsInByCode) {
  add_user("ada");
  const auth::Key key = add_key("ada", 101);
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/login/code", kOrigin));
  const Answer asked = wire.answer();
  ASSERT_EQ(asked.status, 200) << asked.body;
  const std::string code = asked.json()["code"], set = asked.field("Set-Cookie");
  EXPECT_EQ(asked.json()["command"], "ssh -t -p 2222 box.example berth approve " + code);
  EXPECT_EQ(set.find("__Host-berth-code="), 0u);
  const std::string browser = "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
  EXPECT_EQ(get("/api/v1/login/code", browser).json()["state"], "pending");
  EXPECT_EQ(get("/api/v1/login/code").json()["state"], "expired");  // another browser
  ASSERT_TRUE(run_coroutine(logins->approve_code({"ada", auth::Role::user, "127.0.0.1", key.fingerprint}, code)));
  const Answer approved = get("/api/v1/login/code", browser);
  EXPECT_EQ(approved.json()["state"], "approved");
  EXPECT_EQ(approved.json()["user"], "ada");
  ASSERT_EQ(approved.fields("Set-Cookie").size(), 2u);
  EXPECT_EQ(approved.field("Set-Cookie").find("__Host-berth="), 0u);
  EXPECT_EQ(get("/api/v1/login/code", browser).json()["state"], "expired");  // exactly once
}

TEST_F(Api, LogoutEndsTheSession) {
  const Login ada = login("ada");
  const Answer out = change("POST", "/api/v1/logout", ada);
  EXPECT_EQ(out.status, 200);
  EXPECT_NE(out.field("Set-Cookie").find("Max-Age=0"), std::string::npos);
  EXPECT_EQ(get("/api/v1/me", cookie_line(ada)).status, 401);
}

TEST_F(Api, RevokingAKeyEndsItsBrowserSessions) {
  const Login ada = login("ada");
  std::string encoded;
  for (const char c : ada.key) encoded += c == '/' ? "%2F" : c == '+' ? "%2B" : std::string(1, c);
  EXPECT_EQ(admin_call("DELETE", "/api/v1/keys/" + encoded).status, 200);
  EXPECT_EQ(get("/api/v1/me", cookie_line(ada)).status, 401);
}

class HastyApi : public WebTest {
 protected:
  static WebLimits limits() {
    WebLimits limits = test_limits();
    limits.login_attempts = 3;
    return limits;
  }
  HastyApi() : WebTest(limits()) {}
};

TEST_F(HastyApi, LoginAttemptsAreLimited) {
  const auto attempt = [&] {
    Wire wire = portal();
    wire.send(request("POST", "/api/v1/login/link", "Origin: http://127.0.0.1\r\n", R"({"token":"guess"})"));
    return wire.answer().status;
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(attempt(), 404);
  EXPECT_EQ(attempt(), 429);
}

}  // namespace
}  // namespace berth::web
