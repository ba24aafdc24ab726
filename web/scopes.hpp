// What an API token may do of what its user may. A scope only narrows: the routes' roles hold besides.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::web {

struct Route;

struct Scope {
  std::string_view name, allows;
};
std::span<const Scope> all_scopes();

// The list in a request ("scopes":["read","keys"]) as it is stored: sorted, each once. Error{invalid} for an unknown or no scope.
Result<std::string> parse_scopes(const nlohmann::json& list);
// `scopes` as stored. A route that belongs to no area is for `all` only, and for `read` when it is a GET.
bool scopes_allow(std::string_view scopes, const Route& route);
bool has_scope(std::string_view scopes, std::string_view wanted);

}  // namespace berth::web
