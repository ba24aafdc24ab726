// The HTTP API on both faces: who may what.
#include <algorithm>

#include "tests/unit/web/api_fixture.hpp"

namespace berth::web {
namespace {

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

TEST(Patterns, MatchWholePaths) {
  EXPECT_EQ(match_pattern("/users/{name}/keys", "/users/ada/keys"), std::vector<std::string>{"ada"});
  EXPECT_EQ(match_pattern("/keys/{f}", "/keys/SHA256:a%2Fb"), std::vector<std::string>{"SHA256:a/b"});
  EXPECT_FALSE(match_pattern("/users/{name}", "/users/"));
  EXPECT_FALSE(match_pattern("/users/{name}", "/users/ada/keys"));
  EXPECT_FALSE(match_pattern("/users", "/users/"));
}

}  // namespace
}  // namespace berth::web
