#include "web/openapi.hpp"

#include <algorithm>
#include <set>

#include "tests/unit/web/harness.hpp"
#include "web/api.hpp"

namespace berth::web {
namespace {

using nlohmann::json;

// Every "$ref" in the document.
void collect_refs(const json& node, std::set<std::string>& refs) {
  if (node.is_object() && node.contains("$ref")) refs.insert(node["$ref"].get<std::string>());
  if (node.is_structured())
    for (const json& child : node) collect_refs(child, refs);
}

TEST(OpenApi, DescribesEveryRouteAndInventsNone) {
  const json document = openapi_document("1.2.3");
  EXPECT_EQ(document["openapi"], "3.1.0");
  std::size_t described = 0;
  std::set<std::string> ids;
  for (const auto& [path, operations] : document["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      ++described;
      EXPECT_TRUE(ids.insert(operation["operationId"]).second) << operation["operationId"];
      const auto routes = api_routes();
      const auto route = std::find_if(routes.begin(), routes.end(), [&](const Route& row) {
        return row.pattern == path && std::equal(row.method.begin(), row.method.end(), method.begin(), method.end(), [](char a, char b) { return std::tolower(a) == b; });
      });
      ASSERT_NE(route, routes.end()) << method << " " << path;
      EXPECT_EQ(operation["x-berth-role"] == "anyone", route->need == Need::anyone);
      const auto is_in_path = [](const json& parameter) { return parameter["in"] == "path"; };
      const auto in_path = std::count_if(operation["parameters"].begin(), operation["parameters"].end(), is_in_path);
      EXPECT_EQ(in_path, std::count(path.begin(), path.end(), '{')) << path;
    }
  }
  EXPECT_EQ(described, api_routes().size());
}

TEST(OpenApi, EveryReferenceLeadsSomewhere) {
  const json document = openapi_document("1");
  std::set<std::string> refs;
  collect_refs(document, refs);
  EXPECT_GT(refs.size(), 10U);
  for (const std::string& ref : refs) EXPECT_TRUE(document.contains(json::json_pointer(ref.substr(1)))) << ref;
}

TEST(OpenApi, HasASentenceForEveryRoute) {
  for (const Route& route : api_routes()) {
    const std::string key = std::string(route.method) + " " + std::string(route.pattern);
    EXPECT_TRUE(openapi_details()["routes"].contains(key)) << "no line for " << key << " in web/openapi.json";
  }
}

class OpenApiServed : public WebTest {};

TEST_F(OpenApiServed, IsAnsweredToAnybody) {
  const Answer answer = get("/api/v1/openapi.json");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json(), openapi_document("0.1.0"));
}

}  // namespace
}  // namespace berth::web
