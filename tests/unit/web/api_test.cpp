// The HTTP API on both faces: who may what, logins, and that a revocation ends what rests on it.
#include <algorithm>

#include "tests/unit/web/harness.hpp"
#include "web/api.hpp"

namespace berth::web {
namespace {

class Api : public WebTest {
 protected:
  static constexpr const char* kOrigin = "Origin: http://127.0.0.1\r\n";
  static nlohmann::json item(const Answer& answer, std::size_t index = 0) { return answer.json()["items"][index]; }
};

// A path of each route, with parameters filled in; the body that its handler wants.
struct Example { std::string_view pattern, method; const char *path, *body; };
constexpr Example kExamples[] = {
    {"/openapi.json", "GET", "/openapi.json", ""},
    {"/me", "GET", "/me", ""},
    {"/login/link", "POST", "/login/link", R"({"token":"x"})"},
    {"/login/code", "POST", "/login/code", ""},
    {"/login/code", "GET", "/login/code", ""},
    {"/web-sessions", "GET", "/web-sessions?user=ada", ""},
    {"/web-sessions/{id}", "DELETE", "/web-sessions/none", ""},
    {"/workspaces", "GET", "/workspaces", ""},
    {"/workspaces/{user}/{name}/start", "POST", "/workspaces/eve/main/start", ""},
    {"/workspaces/{user}/{name}/stop", "POST", "/workspaces/eve/main/stop", ""},
    {"/workspaces/{user}/{name}/reset", "POST", "/workspaces/eve/main/reset", ""},
    {"/workspaces/{user}/{name}/terminals", "GET", "/workspaces/eve/main/terminals", ""},
    {"/workspaces/{user}/{name}/terminals/{id}", "DELETE", "/workspaces/eve/main/terminals/none", ""},
    {"/workspaces/{user}/{name}/terminal", "GET", "/workspaces/eve/main/terminal", ""},
    {"/workspaces/{user}/{name}", "DELETE", "/workspaces/eve/main", ""},
    {"/environments", "GET", "/environments", ""},
    {"/environments/{user}/{name}", "GET", "/environments/eve/ml", ""},
    {"/environments/{user}/{name}", "DELETE", "/environments/eve/ml", ""},
    {"/environments/{user}/{name}/revisions/{number}", "GET", "/environments/eve/ml/revisions/1", ""},
    {"/environments/{user}/{name}/diff", "GET", "/environments/eve/ml/diff", ""},
    {"/environments/{user}/{name}/export", "GET", "/environments/eve/ml/export", ""},
    {"/environments/{user}/{name}/plan", "POST", "/environments/eve/ml/plan", R"({"yaml":"dependencies: [python]"})"},
    {"/environments/{user}/{name}/install", "POST", "/environments/eve/ml/install", R"({"plan":"none"})"},
    {"/environments/{user}/{name}/verify", "POST", "/environments/eve/ml/verify", ""},
    {"/environments/{user}/{name}/rollback", "POST", "/environments/eve/ml/rollback", ""},
    {"/environments/{user}/{name}/default", "POST", "/environments/eve/ml/default", ""},
    {"/environments/{user}/{name}/share", "POST", "/environments/eve/ml/share", ""},
    {"/environments/{user}/{name}/maintainers/{maintainer}", "POST", "/environments/team/ml/maintainers/eve", ""},
    {"/environments/{user}/{name}/maintainers/{maintainer}", "DELETE", "/environments/team/ml/maintainers/eve", ""},
    {"/environments-used", "GET", "/environments-used", ""},
    {"/workspaces/{user}/{name}/image", "GET", "/workspaces/eve/main/image", ""},
    {"/workspaces/{user}/{name}/image", "POST", "/workspaces/eve/main/image", R"({"image":"none"})"},
    {"/environments-check", "POST", "/environments-check", R"({"yaml":"dependencies: [python]","user":"eve"})"},
    {"/environments-gc", "POST", "/environments-gc", R"({"user":"eve"})"},
    {"/keys", "GET", "/keys", ""},
    {"/keys/{fingerprint}", "GET", "/keys/SHA256:none", ""},
    {"/keys/{fingerprint}/impact", "GET", "/keys/SHA256:none/impact", ""},
    {"/keys/{fingerprint}", "DELETE", "/keys/SHA256:none", ""},
    {"/policy/keys", "GET", "/policy/keys", ""},
    {"/notices", "GET", "/notices", ""},
    {"/campaign", "GET", "/campaign", ""},
    {"/campaign", "POST", "/campaign", R"({"action":"none"})"},
    {"/campaign", "DELETE", "/campaign", ""},
    {"/users", "GET", "/users", ""},
    {"/users", "POST", "/users", R"({"name":"Not a name"})"},
    {"/users/{name}", "GET", "/users/eve", ""},
    {"/users/{name}", "PATCH", "/users/nobody", R"({"disabled":false})"},
    {"/users/{name}", "DELETE", "/users/nobody", ""},
    // Whose keys it is about is asked only when the request makes sense.
    {"/users/{name}/keys", "POST", "/users/nobody/keys", "{}"},
    {"/users/{name}/keys/rotate", "POST", "/users/nobody/keys/rotate", "{}"},
    {"/sessions", "GET", "/sessions", ""},
    {"/sessions/{id}", "DELETE", "/sessions/none", ""},
    {"/status", "GET", "/status", ""},
    {"/audit", "GET", "/audit", ""},
    {"/audit/verify", "GET", "/audit/verify", ""},
    {"/events", "GET", "/events", ""},
    {"/settings", "GET", "/settings", ""},
    {"/audit/export", "GET", "/audit/export", ""},
    {"/audit/{number}", "GET", "/audit/1", ""},
    {"/shares", "GET", "/shares", ""},
    {"/shares", "POST", "/shares", R"({"with":"eve","port":80})"},
    {"/shares/{id}", "DELETE", "/shares/none", ""},
    {"/tokens", "GET", "/tokens", ""},
    {"/tokens", "POST", "/tokens", R"({"name":"not a name"})"},
    {"/tokens/{id}", "DELETE", "/tokens/none", ""},
    {"/host-keys", "GET", "/host-keys", ""},
    {"/host-keys", "POST", "/host-keys", R"({"type":"ed25519"})"},
    {"/host-keys/{fingerprint}", "DELETE", "/host-keys/SHA256:none", ""},
    {"/authorities", "GET", "/authorities", ""},
    {"/authorities", "POST", "/authorities", R"({"name":"Not a name","public_key":"x"})"},
    {"/authorities/{name}", "DELETE", "/authorities/none", ""},
    {"/authorities/{name}/revocations", "GET", "/authorities/none/revocations", ""},
    {"/authorities/{name}/revocations", "POST", "/authorities/none/revocations", R"({"serials":["1"]})"},
    {"/certificates", "POST", "/certificates", "{}"},
    {"/backup", "GET", "/backup", ""},
    {"/logout", "POST", "/logout", ""},
    {"/ssh/link", "POST", "/ssh/link", ""},
    {"/ssh/approve", "POST", "/ssh/approve", R"({"code":"ZZZZ-9999"})"},
    {"/ssh/whoami", "GET", "/ssh/whoami", ""},
};

const Example* example_of(const Route& route) {
  for (const Example& example : kExamples)
    if (example.pattern == route.pattern && example.method == route.method) return &example;
  return nullptr;
}

// Every route, by every way, with every role.
TEST_F(Api, EveryRouteAsksForItsRole) {
  add_user("eve");
  const Login user = login("ada"), auditor = login("otto", auth::Role::auditor), admin_user = login("root-like", auth::Role::admin);
  for (const Route& route : api_routes()) {
    const Example* example = example_of(route);
    ASSERT_TRUE(example) << "no example for " << route.method << " " << route.pattern;
    if (route.pattern == "/logout" || route.pattern == "/events") continue;  // the second does not end: events_test.cpp
    SCOPED_TRACE(std::string(route.method) + " " + example->path);
    const std::string path = "/api/v1" + std::string(example->path), method(route.method);
    Wire stranger = portal();
    stranger.send(request(method, path, kOrigin, example->body));
    EXPECT_EQ(stranger.answer().status == 401, route.need != Need::anyone);
    const struct { const Login& login; auth::Role role; Need most; } callers[] = {
        {user, auth::Role::user, Need::user}, {auditor, auth::Role::auditor, Need::auditor}, {admin_user, auth::Role::admin, Need::admin}};
    for (const auto& caller : callers) {
      const auth::Actor by_ssh{caller.login.user, caller.role, "192.0.2.1:99", caller.login.key};
      const bool allowed = route.need <= caller.most;
      EXPECT_EQ(change(method, path, caller.login, example->body).status == 403, !allowed || (route.faces & kByBrowser) == 0);
      EXPECT_EQ(ssh_call(by_ssh, method, path, example->body).status == 403, !allowed || (route.faces & kBySsh) == 0);
    }
    EXPECT_EQ(admin_call(method, path, example->body).status == 403, (route.faces & kByAdminSocket) == 0);
  }
}

TEST_F(Api, TheAuditTrailIsReadInParts) {
  const Login ada = login("ada"), otto = login("otto", auth::Role::auditor);
  const auto ask = [&](const std::string& query) { return get("/api/v1/audit" + query, cookie_line(otto)); };
  EXPECT_EQ(ask("?since=yesterday").status, 400);
  EXPECT_EQ(ask("?after=-1").status, 400);
  EXPECT_EQ(ask("?user=ada&action=key").json()["items"].size(), 1U);
  const nlohmann::json page = ask("?after=0&limit=2").json();
  EXPECT_EQ(page["items"][0]["number"], 1);
  EXPECT_EQ(page["next"], 2);
  EXPECT_EQ(ask("/2").json()["number"], 2);
  EXPECT_EQ(ask("/999").status, 404);
  EXPECT_EQ(ask("/x").status, 404);
  // What is refused is a row, and a wait ends with it.
  const std::string newest = ask("?limit=1").json()["next"].dump();
  EXPECT_EQ(get("/api/v1/users", cookie_line(ada)).status, 403);
  const nlohmann::json refused = ask("?after=" + newest + "&wait_s=30").json()["items"][0];
  EXPECT_EQ(refused["action"], "api.refused");
  EXPECT_EQ(refused["actor"], "ada");
  EXPECT_EQ(refused["object"], "GET /users");
  const Answer all = ask("/export");
  EXPECT_EQ(all.field("Content-Type"), "application/x-ndjson");
  EXPECT_GE(std::count(all.body.begin(), all.body.end(), '\n'), refused["number"].get<int>());  // the export is a row too
  const nlohmann::json verdict = ask("/verify").json();
  const std::string anchor = "?number=" + verdict["head"]["number"].dump() + "&hash=" + verdict["head"]["hash"].get<std::string>();
  EXPECT_EQ(ask("/verify" + anchor).json()["anchor"], "matches");
  EXPECT_EQ(ask("/verify" + anchor + "0").json()["ok"], false);
  EXPECT_EQ(ask("/verify?number=9999&hash=x").json()["anchor"], "missing");
  EXPECT_EQ(ask("/verify?hash=x").status, 400);
}

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
  EXPECT_EQ(asked.json()["command"], "ssh -p 2222 box.example berth approve " + code);
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

TEST_F(Api, MeTellsWhoAndWhere) {
  const Login ada = login("ada");
  const auto me = get("/api/v1/me", cookie_line(ada)).json();
  EXPECT_EQ(me["user"]["name"], "ada");
  EXPECT_EQ(me["user"]["role"], "user");
  EXPECT_EQ(me["session"]["current"], true);
  EXPECT_EQ(me["ssh_host"], "box.example");
  EXPECT_EQ(me["workspace_origin"], workspace_origin());
  EXPECT_EQ(get("/api/v1/me").status, 401);
  EXPECT_EQ(get("/api/v1/me", "Cookie: __Host-berth=forged\r\n").status, 401);
}

TEST_F(Api, ChangesNeedOriginAndToken) {
  const Login ada = login("ada"), bob = login("bob");
  const std::string path = "/api/v1/workspaces/ada/main/stop";
  const auto post = [&](const std::string& extra) {
    Wire wire = portal();
    wire.send(request("POST", path, cookie_line(ada) + extra));
    return wire.answer().status;
  };
  EXPECT_EQ(post(""), 403);
  EXPECT_EQ(post(kOrigin), 403);
  EXPECT_EQ(post("X-Berth-CSRF: " + ada.csrf + "\r\n"), 403);
  EXPECT_EQ(post("Origin: " + workspace_origin() + "\r\nX-Berth-CSRF: " + ada.csrf + "\r\n"), 403);  // what a workspace's page would send
  EXPECT_EQ(post(kOrigin + std::string("X-Berth-CSRF: ") + bob.csrf + "\r\n"), 403);
  EXPECT_EQ(post(kOrigin + std::string("X-Berth-CSRF: ") + ada.csrf + "\r\n"), 200);
}

TEST_F(Api, UsersSeeAndChangeTheirOwnOnly) {
  const Login ada = login("ada"), bob = login("bob");
  EXPECT_EQ(item(get("/api/v1/keys", cookie_line(ada)))["user"], "ada");
  EXPECT_EQ(get("/api/v1/keys?user=bob", cookie_line(ada)).status, 403);
  EXPECT_EQ(get("/api/v1/keys?all=1", cookie_line(ada)).status, 403);
  EXPECT_EQ(get("/api/v1/workspaces?user=bob", cookie_line(ada)).status, 403);
  EXPECT_EQ(change("POST", "/api/v1/workspaces/bob/main/start", ada).status, 404);
  EXPECT_EQ(change("DELETE", "/api/v1/workspaces/ada/main?home=1", ada).status, 403);
  EXPECT_EQ(change("DELETE", "/api/v1/workspaces/ada/main", ada).status, 200);
  EXPECT_EQ(fake.removed, std::vector<std::string>{"ada+main"});
  const std::string bobs = item(get("/api/v1/web-sessions", cookie_line(bob)))["id"];
  EXPECT_EQ(change("DELETE", "/api/v1/web-sessions/" + bobs, ada).status, 404);
  EXPECT_EQ(get("/api/v1/me", cookie_line(bob)).status, 200);
}

TEST_F(Api, LogoutEndsTheSession) {
  const Login ada = login("ada");
  const Answer out = change("POST", "/api/v1/logout", ada);
  EXPECT_EQ(out.status, 200);
  EXPECT_NE(out.field("Set-Cookie").find("Max-Age=0"), std::string::npos);
  EXPECT_EQ(get("/api/v1/me", cookie_line(ada)).status, 401);
}

TEST_F(Api, AdministersUsersAndKeysOnTheSocket) {
  EXPECT_EQ(admin_call("POST", "/api/v1/users", R"({"name":"ada"})").status, 201);
  EXPECT_EQ(admin_call("POST", "/api/v1/users", R"({"name":"ada"})").status, 409);
  EXPECT_EQ(admin_call("POST", "/api/v1/users", R"({"name":"../x"})").status, 400);
  EXPECT_EQ(admin_call("POST", "/api/v1/users", R"({"name":7})").status, 400);
  EXPECT_EQ(admin_call("POST", "/api/v1/users", "[1]").status, 400);
  EXPECT_EQ(admin_call("PATCH", "/api/v1/users/ada", R"({"role":"emperor"})").status, 400);
  EXPECT_EQ(admin_call("PATCH", "/api/v1/users/ada", R"({"role":"auditor"})").json()["role"], "auditor");
  EXPECT_EQ(admin_call("PATCH", "/api/v1/users/ada", R"({"disabled":true})").json()["disabled"], true);
  const auth::Key key = add_key("ada", 102);
  const Answer listed = admin_call("GET", "/api/v1/keys?all=1");
  EXPECT_EQ(item(listed)["fingerprint"], key.fingerprint);
  EXPECT_TRUE(item(listed)["revoked_at"].is_null());
  EXPECT_EQ(admin_call("GET", "/api/v1/users/ada").json()["key_list"][0]["fingerprint"], key.fingerprint);
  std::string encoded;
  for (const char c : key.fingerprint) encoded += c == '/' ? "%2F" : c == '+' ? "%2B" : std::string(1, c);
  EXPECT_EQ(admin_call("DELETE", "/api/v1/keys/" + encoded).json()["ended_sessions"], 0);
  EXPECT_EQ(admin_call("DELETE", "/api/v1/users/ada").status, 200);
  EXPECT_EQ(admin_call("GET", "/api/v1/users/ada").status, 404);
  EXPECT_EQ(admin_call("GET", "/api/v1/audit/verify").json()["ok"], true);
  EXPECT_GT(admin_call("GET", "/api/v1/audit").json()["items"].size(), 3u);
}

TEST_F(Api, KeysAreAddedAsText) {
  add_user("ada");
  const auth::Key sample = add_key("ada", 103);
  add_user("bob");
  const std::string line = auth::format_public_key(sample);
  const Answer refused = admin_call("POST", "/api/v1/users/bob/keys", nlohmann::json({{"public_key", "no key"}}).dump());
  EXPECT_EQ(refused.status, 400) << refused.body;
  const Answer late = admin_call("POST", "/api/v1/users/bob/keys", nlohmann::json({{"public_key", line}, {"expires_at", "tomorrow"}}).dump());
  EXPECT_EQ(late.status, 400) << late.body;
}

// A user's own keys: added, rotated, looked at and removed; nobody else's, and never the last.
TEST_F(Api, UsersLookAfterTheirOwnKeys) {
  const Login ada = login("ada"), bob = login("bob");
  const auto encoded = [](const std::string& fingerprint) {
    std::string text;
    for (const char c : fingerprint) text += c == '/' ? "%2F" : c == '+' ? "%2B" : std::string(1, c);
    return text;
  };
  const auto body = [](int seed) { return nlohmann::json({{"public_key", key_line(seed)}}).dump(); };
  EXPECT_EQ(change("POST", "/api/v1/users/bob/keys", ada, body(301)).status, 403);
  EXPECT_EQ(change("POST", "/api/v1/users/bob/keys/rotate", ada, body(301)).status, 403);
  EXPECT_EQ(get("/api/v1/keys/" + encoded(bob.key), cookie_line(ada)).status, 404);
  EXPECT_EQ(get("/api/v1/keys/" + encoded(bob.key) + "/impact", cookie_line(ada)).status, 404);
  EXPECT_EQ(change("DELETE", "/api/v1/keys/" + encoded(bob.key), ada, "").status, 404);
  EXPECT_EQ(change("DELETE", "/api/v1/keys/" + encoded(ada.key), ada, "").status, 409);

  const Answer rotated = change("POST", "/api/v1/users/ada/keys/rotate", ada, body(302));
  ASSERT_EQ(rotated.status, 201) << rotated.body;
  EXPECT_EQ(rotated.json()["superseded"][0]["fingerprint"], ada.key);
  EXPECT_EQ(rotated.json()["superseded"][0]["state"], "superseded");
  EXPECT_EQ(rotated.json()["superseded"][0]["successor"], rotated.json()["key"]["fingerprint"]);
  const Answer notices = get("/api/v1/notices", cookie_line(ada));  // in its grace the browser goes on
  EXPECT_EQ(item(notices)["kind"], "superseded");
  EXPECT_EQ(item(notices)["current"], true);
  const Answer impact = get("/api/v1/keys/" + encoded(ada.key) + "/impact", cookie_line(ada));
  EXPECT_EQ(impact.json()["keeps_access"], true);
  EXPECT_EQ(impact.json()["web_sessions"].size(), 1u);
  EXPECT_EQ(change("DELETE", "/api/v1/keys/" + encoded(ada.key), ada, "").status, 200);
  EXPECT_EQ(get("/api/v1/me", cookie_line(ada)).status, 401);
  EXPECT_EQ(get("/api/v1/policy/keys", cookie_line(bob)).json()["self_service"].size(), 4u);
}

TEST_F(Api, ListsCarryOnWhereTheyWereCut) {
  for (const char* name : {"ann", "bea", "cat"}) add_user(name);
  const Answer first = admin_call("GET", "/api/v1/users?limit=2");
  EXPECT_EQ(first.json()["items"].size(), 2u);
  EXPECT_EQ(first.json()["next"], "bea");
  const Answer rest = admin_call("GET", "/api/v1/users?limit=2&after=bea");
  EXPECT_EQ(rest.json()["items"].size(), 1u);
  EXPECT_TRUE(rest.json()["next"].is_null());
  EXPECT_EQ(admin_call("GET", "/api/v1/users?q=ea").json()["items"].size(), 1u);
  EXPECT_EQ(admin_call("GET", "/api/v1/keys?state=broken").status, 400);
}

TEST_F(Api, RevokingAKeyEndsItsBrowserSessions) {
  const Login ada = login("ada");
  std::string encoded;
  for (const char c : ada.key) encoded += c == '/' ? "%2F" : c == '+' ? "%2B" : std::string(1, c);
  EXPECT_EQ(admin_call("DELETE", "/api/v1/keys/" + encoded).status, 200);
  EXPECT_EQ(get("/api/v1/me", cookie_line(ada)).status, 401);
}

TEST_F(Api, StartStreamsItsProgress) {
  const Login ada = login("ada");
  fake.start_takes = std::chrono::milliseconds(30);
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/workspaces/ada/main/start",
                    cookie_line(ada) + kOrigin + "X-Berth-CSRF: " + ada.csrf + "\r\nAccept: text/event-stream\r\n"));
  const Answer answer = wire.answer();
  EXPECT_EQ(answer.field("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer.body.find("event: progress\ndata: {\"line\":\"Starting <your> workspace…\"}\n\nevent: done\ndata: {"), 0u) << answer.body;
  EXPECT_NE(answer.body.find("\"state\":\"running\""), std::string::npos);
  fake.start_failure = "the image is missing";
  wire.send(request("POST", "/api/v1/workspaces/ada/main/start",
                    cookie_line(ada) + kOrigin + "X-Berth-CSRF: " + ada.csrf + "\r\nAccept: text/event-stream\r\n"));
  EXPECT_NE(wire.answer().body.find("event: failed\ndata: {\"error\":{\"kind\":\"unavailable\",\"message\":\"the image is missing\"}}"), std::string::npos);
  EXPECT_EQ(change("POST", "/api/v1/workspaces/ada/main/start", ada).status, 503);
}

TEST_F(Api, BacksUpTheStore) {
  add_user("ada");
  const Answer copy = admin_call("GET", "/api/v1/backup");
  EXPECT_EQ(copy.status, 200);
  EXPECT_EQ(copy.body.substr(0, 15), "SQLite format 3");
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) EXPECT_EQ(entry.path().filename().string().find(".backup"), std::string::npos);
}

TEST_F(Api, UnknownPathsAndMethodsAreRefused) {
  EXPECT_EQ(admin_call("GET", "/api/v1/nothing").status, 404);
  EXPECT_EQ(admin_call("GET", "/login").status, 404);
  const Answer wrong = admin_call("PUT", "/api/v1/users");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.field("Allow"), "GET, POST");
  EXPECT_EQ(admin_call("GET", "/api/v1/users/%zz").status, 404);
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

TEST(Patterns, MatchWholePaths) {
  EXPECT_EQ(match_pattern("/users/{name}/keys", "/users/ada/keys"), std::vector<std::string>{"ada"});
  EXPECT_EQ(match_pattern("/keys/{f}", "/keys/SHA256:a%2Fb"), std::vector<std::string>{"SHA256:a/b"});
  EXPECT_FALSE(match_pattern("/users/{name}", "/users/"));
  EXPECT_FALSE(match_pattern("/users/{name}", "/users/ada/keys"));
  EXPECT_FALSE(match_pattern("/users", "/users/"));
}

}  // namespace
}  // namespace berth::web
