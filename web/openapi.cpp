#include "web/openapi.hpp"

#include <nlohmann/json.hpp>

#include "base/assert.hpp"
#include "web/api.hpp"
#include "web/records.hpp"
#include "web/lane_server.hpp"

namespace berth::web {
namespace asio = boost::asio;
using nlohmann::json;

extern const std::string_view kOpenApiDetails;  // openapi_details.cpp, made by CMake

namespace {

struct NeedRow {
  Need need;
  const char* role;
};
constexpr NeedRow kNeeds[] = {{Need::anyone, "anyone"}, {Need::user, "user"}, {Need::auditor, "auditor"}, {Need::admin, "admin"}};

struct FaceRow {
  Faces face;
  const char* name;
};
constexpr FaceRow kFaces[] = {{kByBrowser, "browser"}, {kByToken, "token"}, {kBySsh, "ssh"}, {kByAdminSocket, "admin socket"}};

std::string role_of(Need need) {
  for (const NeedRow& row : kNeeds)
    if (row.need == need) return row.role;
  return "nobody";
}

json faces_of(Faces faces) {
  json names = json::array();
  for (const FaceRow& row : kFaces)
    if ((faces & row.face) != 0) names.push_back(row.name);
  return names;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// "POST /users/{name}/keys" to "post_users_name_keys".
std::string operation_id(const Route& route) {
  std::string id = lower(route.method);
  bool gap = false;
  for (const char c : route.pattern) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter && gap) id += '_';
    gap = !letter;
    if (letter) id += c;
  }
  return id;
}

json parameters_of(const Route& route, const json& details) {
  json parameters = json::array();
  for (std::size_t at = route.pattern.find('{'); at != std::string_view::npos; at = route.pattern.find('{', at + 1)) {
    const std::string name(route.pattern.substr(at + 1, route.pattern.find('}', at) - at - 1));
    parameters.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}, {"minLength", 1}}}});
  }
  const json query = details.value("query", json::object());
  for (const auto& [name, schema] : query.items()) {
    parameters.push_back({{"name", name}, {"in", "query"}, {"schema", schema}});
  }
  return parameters;
}

json responses_of(const Route& route, const json& details) {
  json good = {{"description", "Done."}};
  const std::string type = details.value("type", std::string());
  if (!type.empty()) good["content"][type] = json::object();
  else if (details.contains("answer")) good["content"]["application/json"]["schema"] = details["answer"];
  json responses = {{std::to_string(details.value("status", 200)), std::move(good)}};
  const json error = {{"$ref", "#/components/responses/Error"}};
  responses["default"] = error;
  for (const char* status : {"400", "403", "404", "409", "413", "503"}) responses[status] = error;
  if (route.need != Need::anyone) responses["401"] = error;
  return responses;
}

json security_of(const Route& route) {
  if (route.need == Need::anyone) return json::array();
  json ways = json::array();
  if ((route.faces & kByBrowser) != 0) ways.push_back(route.method == "GET" ? json{{"session", json::array()}} : json{{"session", json::array()}, {"csrf", json::array()}});
  if ((route.faces & kByToken) != 0) ways.push_back({{"token", json::array()}});
  // SSH and the admin socket say who calls by themselves.
  if (ways.empty()) ways.push_back(json::object());
  return ways;
}

json operation_of(const Route& route) {
  const std::string key = std::string(route.method) + " " + std::string(route.pattern);
  const json& all = openapi_details().at("routes");
  const json details = all.contains(key) ? all.at(key) : json::object();
  json operation = {{"operationId", operation_id(route)},
                    {"summary", details.value("summary", key)},
                    {"x-berth-role", role_of(route.need)},
                    {"x-berth-faces", faces_of(route.faces)},
                    {"parameters", parameters_of(route, details)},
                    {"responses", responses_of(route, details)},
                    {"security", security_of(route)}};
  if (details.contains("body")) {
    operation["requestBody"] = {{"required", details["body"].contains("required")}, {"content", {{"application/json", {{"schema", details["body"]}}}}}};
  }
  return operation;
}

json components() {
  const json error = {{"description", "What was wrong, in a sentence."},
                      {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}};
  return {{"schemas", openapi_details().at("schemas")},
          {"responses", {{"Error", error}}},
          {"securitySchemes",
           {{"session", {{"type", "apiKey"}, {"in", "cookie"}, {"name", "__Host-berth"}}},
            {"csrf", {{"type", "apiKey"}, {"in", "header"}, {"name", "X-Berth-CSRF"}}},
            {"token", {{"type", "http"}, {"scheme", "bearer"}}}}}};
}

}  // namespace

const json& openapi_details() {
  static const json details = json::parse(kOpenApiDetails, nullptr, false);
  BERTH_ASSERT(details.is_object());
  return details;
}

json openapi_document(std::string_view version) {
  json paths = json::object();
  for (const Route& route : api_routes()) paths[std::string(route.pattern)][lower(route.method)] = operation_of(route);
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Berth"},
            {"version", version},
            {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}},
            {"description", "The HTTP API of Berth; docs/api.md explains it. x-berth-role is the least role that an operation wants, x-berth-faces are the ways by "
                            "which it may be called."}}},
          {"servers", json::array({{{"url", kApiPrefix}}})},
          {"paths", std::move(paths)},
          {"components", components()}};
}

asio::awaitable<ApiReply> get_openapi(ApiCall& call) {
  // Anybody may ask for it: made once, as nothing in it changes while berthd runs.
  static const Response answer = json_response(openapi_document(call.lane.shared.options.version));
  co_return answer;
}

}  // namespace berth::web
