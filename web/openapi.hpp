// The OpenAPI 3.1 description of the HTTP API, made from the table of routes: every route is in it and nothing else. What the table does not
// say (sentences, query parameters, bodies, answers) stands in web/openapi.json.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace berth::web {

nlohmann::json openapi_document(std::string_view version);
// web/openapi.json, as it was built in.
const nlohmann::json& openapi_details();

}  // namespace berth::web
