#include "web/scopes.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "web/api.hpp"

namespace berth::web {
namespace {

constexpr Scope kScopes[] = {
    {"all", "everything that you may"},
    {"read", "every GET"},
    {"keys", "keys, their policy and campaigns"},
    {"users", "users, but not their keys"},
    {"sessions", "sessions and browser logins"},
    {"workspaces", "workspaces"},
    {"environments", "environments"},
    {"certificates", "host keys, authorities and certificates"},
    {"audit", "the audit trail"},
};

// The first segment of a path and its area; "keys" as any segment comes before.
struct AreaRow {
  std::string_view segment, scope;
};
constexpr AreaRow kAreas[] = {
    {"keys", "keys"},           {"policy", "keys"},           {"notices", "keys"},
    {"campaign", "keys"},       {"users", "users"},           {"sessions", "sessions"},
    {"web-sessions", "sessions"}, {"workspaces", "workspaces"}, {"environments", "environments"},
    {"shares", "workspaces"},     {"environments-check", "environments"}, {"environments-gc", "environments"}, {"environments-used", "environments"}, {"host-keys", "certificates"},
    {"authorities", "certificates"}, {"certificates", "certificates"}, {"audit", "audit"},
};

std::string_view area_of(std::string_view pattern) {
  if (pattern.ends_with("/keys") || pattern.find("/keys/") != std::string_view::npos) return "keys";
  const std::string_view first = pattern.substr(1, pattern.find('/', 1) - 1);
  for (const AreaRow& row : kAreas)
    if (row.segment == first) return row.scope;
  return {};
}

}  // namespace

std::span<const Scope> all_scopes() { return kScopes; }

Result<std::string> parse_scopes(const nlohmann::json& list) {
  std::string known;
  for (const Scope& scope : kScopes) known += (known.empty() ? "" : ", ") + std::string(scope.name);
  const Error bad{ErrorKind::invalid, "'scopes' is a list of at least one of: " + known};
  if (!list.is_array() || list.empty() || list.size() > std::size(kScopes)) return bad;
  std::set<std::string> names;
  for (const nlohmann::json& item : list) {
    const bool fits = item.is_string() && std::any_of(std::begin(kScopes), std::end(kScopes), [&](const Scope& scope) { return item == scope.name; });
    if (!fits) return bad;
    names.insert(item.get<std::string>());
  }
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

bool has_scope(std::string_view scopes, std::string_view wanted) {
  while (!scopes.empty()) {
    const std::size_t end = scopes.find(' ');
    if (scopes.substr(0, end) == wanted) return true;
    scopes.remove_prefix(end == std::string_view::npos ? scopes.size() : end + 1);
  }
  return false;
}

bool scopes_allow(std::string_view scopes, const Route& route) {
  if (has_scope(scopes, "all") || (route.method == "GET" && has_scope(scopes, "read"))) return true;
  const std::string_view area = area_of(route.pattern);
  return !area.empty() && has_scope(scopes, area);
}

}  // namespace berth::web
