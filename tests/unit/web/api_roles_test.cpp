// Every route of the HTTP API, by every way, with every role.
#include <algorithm>
#include <utility>

#include "tests/unit/web/api_fixture.hpp"

namespace berth::web {
namespace {

// What stands for a route's parameters: mostly what is not there.
constexpr std::pair<std::string_view, std::string_view> kValues[] = {{"{user}", "eve"}, {"{maintainer}", "eve"}, {"{fingerprint}", "SHA256:none"},
                                                                     {"{number}", "1"}, {"{id}", "none"}, {"{name}", "main"}};

// Routes of which the handler wants a body, or that are asked in another way. Whose keys it is about is asked only when the request makes sense.
struct Example { std::string_view pattern, method; const char* body; std::string_view path = {}; };
constexpr Example kExamples[] = {
    {"/login/link", "POST", R"({"token":"x"})"},
    {"/web-sessions", "GET", "", "/web-sessions?user=ada"},
    {"/environments/{user}/{name}/plan", "POST", R"({"yaml":"dependencies: [python]"})"},
    {"/environments/{user}/{name}/install", "POST", R"({"plan":"none"})"},
    {"/environments/{user}/{name}/maintainers/{maintainer}", "POST", "", "/environments/team/ml/maintainers/eve"},
    {"/environments/{user}/{name}/maintainers/{maintainer}", "DELETE", "", "/environments/team/ml/maintainers/eve"},
    {"/workspaces/{user}/{name}/image", "POST", R"({"image":"none"})"},
    {"/environments-check", "POST", R"({"yaml":"dependencies: [python]","user":"eve"})"},
    {"/environments-gc", "POST", R"({"user":"eve"})"},
    {"/campaign", "POST", R"({"action":"none"})"},
    {"/users", "POST", R"({"name":"Not a name"})"},
    {"/users/{name}", "PATCH", R"({"disabled":false})"},
    {"/users/{name}/keys", "POST", "{}"},
    {"/users/{name}/keys/rotate", "POST", "{}"},
    {"/shares", "POST", R"({"with":"eve","port":80})"},
    {"/tokens", "POST", R"({"name":"not a name"})"},
    {"/host-keys", "POST", R"({"type":"ed25519"})"},
    {"/authorities", "POST", R"({"name":"Not a name","public_key":"x"})"},
    {"/authorities/{name}/revocations", "POST", R"({"serials":["1"]})"},
    {"/certificates", "POST", "{}"},
    {"/ssh/approve", "POST", R"({"code":"ZZZZ-9999"})"},
};

Example example_of(const Route& route) {
  for (const Example& example : kExamples)
    if (example.pattern == route.pattern && example.method == route.method) return example;
  return {route.pattern, route.method, ""};
}

std::string path_of(const Example& example) {
  std::string path(example.path.empty() ? example.pattern : example.path);
  for (const auto& [name, value] : kValues)
    if (const std::size_t at = path.find(name); at != std::string::npos) path.replace(at, name.size(), value);
  return "/api/v1" + path;
}

TEST_F(Api, ExamplesAreOfRoutes) {
  for (const Example& example : kExamples) {
    const auto is_its = [&](const Route& route) { return route.pattern == example.pattern && route.method == example.method; };
    EXPECT_TRUE(std::any_of(api_routes().begin(), api_routes().end(), is_its)) << example.method << " " << example.pattern;
  }
}

TEST_F(Api, EveryRouteAsksForItsRole) {
  add_user("eve");
  const Login user = login("ada"), auditor = login("otto", auth::Role::auditor), admin_user = login("root-like", auth::Role::admin);
  for (const Route& route : api_routes()) {
    const Example example = example_of(route);
    if (route.pattern == "/logout" || route.pattern == "/events") continue;  // the second does not end: events_test.cpp
    const std::string path = path_of(example), method(route.method);
    ASSERT_EQ(path.find('{'), std::string::npos) << "no value for a parameter of " << path;
    SCOPED_TRACE(method + " " + path);
    Wire stranger = portal();
    stranger.send(request(method, path, kOrigin, example.body));
    EXPECT_EQ(stranger.answer().status == 401, route.need != Need::anyone);
    const struct { const Login& login; auth::Role role; Need most; } callers[] = {
        {user, auth::Role::user, Need::user}, {auditor, auth::Role::auditor, Need::auditor}, {admin_user, auth::Role::admin, Need::admin}};
    for (const auto& caller : callers) {
      const auth::Actor by_ssh{caller.login.user, caller.role, "192.0.2.1:99", caller.login.key};
      const bool allowed = route.need <= caller.most;
      EXPECT_EQ(change(method, path, caller.login, example.body).status == 403, !allowed || (route.faces & kByBrowser) == 0);
      EXPECT_EQ(ssh_call(by_ssh, method, path, example.body).status == 403, !allowed || (route.faces & kBySsh) == 0);
    }
    EXPECT_EQ(admin_call(method, path, example.body).status == 403, (route.faces & kByAdminSocket) == 0);
  }
}

}  // namespace
}  // namespace berth::web
