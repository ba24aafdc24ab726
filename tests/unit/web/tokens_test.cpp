// API tokens on the portal: what they may, what they may not, and when they end.
#include "tests/unit/web/harness.hpp"
#include "web/api.hpp"
#include "web/scopes.hpp"

namespace berth::web {
namespace {

class ApiTokens : public WebTest {
 protected:
  struct Made {
    std::string secret, id;
  };
  Made make(const Login& login, const std::string& name, const nlohmann::json& scopes) {
    const Answer made = change("POST", "/api/v1/tokens", login, nlohmann::json({{"name", name}, {"scopes", scopes}}).dump());
    EXPECT_EQ(made.status, 201) << made.body;
    return {made.json().value("secret", ""), made.json()["token"].value("id", "")};
  }
  Answer call(const std::string& secret, const std::string& method, const std::string& path, const std::string& body = {}, const std::string& extra = {}) {
    Wire wire = portal();
    wire.send(request(method, "/api/v1" + path, "Authorization: Bearer " + secret + "\r\n" + extra, body));
    return wire.answer();
  }
};

TEST_F(ApiTokens, NeedNoCookieAndNoCsrf) {
  const Login ada = login("ada");
  const Made token = make(ada, "ci", {"all"});
  EXPECT_EQ(call(token.secret, "GET", "/me").json()["user"]["name"], "ada");
  EXPECT_EQ(call(token.secret, "POST", "/workspaces/ada/main/stop").status, 200);
  EXPECT_EQ(call(token.secret, "GET", "/me", "", cookie_line(ada)).status, 400);  // one login, not two
  EXPECT_EQ(call("berth_forged", "GET", "/me").status, 401);
  EXPECT_EQ(call("", "GET", "/me").status, 401);
  EXPECT_EQ(get_workspace("/w/ada/main/jupyter/lab", "Authorization: Bearer " + token.secret + "\r\n").status, 401);
}

TEST_F(ApiTokens, ScopesNarrowTheRole) {
  const Login ada = login("ada"), root = login("root-like", auth::Role::admin);
  const std::string read = make(ada, "read", {"read"}).secret, area = make(ada, "sessions", {"sessions"}).secret, all = make(ada, "all", {"all"}).secret;
  EXPECT_EQ(call(read, "GET", "/keys").status, 200);
  EXPECT_EQ(call(read, "POST", "/workspaces/ada/main/stop").status, 403);
  EXPECT_EQ(call(area, "GET", "/sessions").status, 200);
  EXPECT_EQ(call(area, "GET", "/keys").status, 403);
  EXPECT_EQ(call(all, "GET", "/users").status, 403);  // no more than its user
  EXPECT_EQ(call(all, "GET", "/keys?all=1").status, 403);
  const std::string users = make(root, "users", {"users", "read"}).secret;
  EXPECT_EQ(call(users, "POST", "/users", R"({"name":"bob"})").status, 201);
  EXPECT_EQ(call(users, "POST", "/users/bob/keys", R"({"public_key":"x"})").status, 403);
  ASSERT_EQ(admin_call("PATCH", "/api/v1/users/root-like", R"({"role":"user"})").status, 200);
  EXPECT_EQ(call(users, "GET", "/users").status, 403);  // the role is looked up with each request
}

TEST_F(ApiTokens, CannotBeUsedForWhatALoginIsFor) {
  const std::string all = make(login("root-like", auth::Role::admin), "all", {"all"}).secret;
  EXPECT_EQ(call(all, "POST", "/tokens", R"({"name":"more"})").status, 403);
  EXPECT_EQ(call(all, "POST", "/ssh/link").status, 403);
  EXPECT_EQ(call(all, "POST", "/login/code").status, 403);
  EXPECT_EQ(call(all, "POST", "/logout").status, 403);
  EXPECT_EQ(call(all, "GET", "/backup").status, 403);
  for (const Route& route : api_routes()) {
    const bool logs_in = route.pattern.starts_with("/login") || route.pattern.starts_with("/ssh/") || route.pattern == "/logout";
    EXPECT_FALSE(logs_in && (route.faces & kByToken) != 0) << route.pattern;
  }
}

TEST_F(ApiTokens, EndAtOnceWithTheirKey) {
  const Login ada = login("ada");
  const Made first = make(ada, "first", {"read"}), second = make(ada, "second", {"read"});
  EXPECT_EQ(change("DELETE", "/api/v1/tokens/" + first.id, ada).json()["state"], "revoked");
  EXPECT_EQ(call(first.secret, "GET", "/me").status, 401);
  EXPECT_EQ(call(second.secret, "GET", "/me").status, 200);
  std::string encoded;
  for (const char c : ada.key) encoded += c == '/' ? "%2F" : c == '+' ? "%2B" : std::string(1, c);
  ASSERT_EQ(admin_call("DELETE", "/api/v1/keys/" + encoded).status, 200);
  EXPECT_EQ(call(second.secret, "GET", "/me").status, 401);
  const nlohmann::json listed = admin_call("GET", "/api/v1/tokens").json()["items"];
  ASSERT_EQ(listed.size(), 2U);
  for (const nlohmann::json& token : listed) EXPECT_NE(token["state"], "active");
  EXPECT_EQ(listed.dump().find(second.secret.substr(6)), std::string::npos);
}

TEST_F(ApiTokens, WhatIsAskedForIsChecked) {
  const Login ada = login("ada"), bob = login("bob");
  for (const char* body : {"{}", R"({"name":"a b"})", R"({"name":"a","scopes":[]})", R"({"name":"a","scopes":["god"]})", R"({"name":"a","scopes":"all"})",
                           R"({"name":"a","lifetime_s":1})", R"({"name":"a","lifetime_s":"1h"})", R"({"name":"a","lifetime_s":1e300})"}) {
    EXPECT_EQ(change("POST", "/api/v1/tokens", ada, body).status, 400) << body;
  }
  const Made token = make(ada, "mine", {"keys", "read", "keys"});
  const nlohmann::json listed = get("/api/v1/tokens", cookie_line(ada)).json()["items"][0];
  EXPECT_EQ(listed["scopes"], nlohmann::json({"keys", "read"}));
  EXPECT_EQ(get("/api/v1/tokens?user=ada", cookie_line(bob)).status, 403);
  EXPECT_EQ(change("DELETE", "/api/v1/tokens/" + token.id, bob).status, 404);
}

}  // namespace
}  // namespace berth::web
