// Users.
#include "auth/forward_policy.hpp"
#include "auth/key_clock.hpp"
#include "auth/key_exceptions.hpp"
#include "auth/sessions.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr auth::Role kRoles[] = {auth::Role::user, auth::Role::auditor, auth::Role::admin};

Result<auth::Role> parse_role(std::string_view text) {
  for (const auth::Role role : kRoles)
    if (auth::name_of(role) == text) return role;
  return Error{ErrorKind::invalid, "a role is user, auditor or admin"};
}

Error no_user(const std::string& name) { return Error{ErrorKind::not_found, "there is no user '" + name + "'"}; }

Result<nlohmann::json> user_json(const ApiCall& call, const std::string& name, bool with_keys) {
  const auth::Directory& directory = call.lane.services().directory;
  const auto user = directory.find_user(*call.lane.reader, name);
  if (!user) return no_user(name);
  const auto keys = directory.list_keys(*call.lane.reader, name);
  nlohmann::json item = to_json(*user, static_cast<std::int64_t>(keys.size()));
  if (!with_keys) return json_result(std::move(item));
  item["key_list"] = nlohmann::json::array();
  for (const auth::Key& key : keys) item["key_list"].push_back(to_json(key, directory.judge(key)));
  return json_result(std::move(item));
}

ApiReply user_reply(const ApiCall& call, const std::string& name, int status) {
  auto user = user_json(call, name, false);
  if (!user) return user.error();
  return std::optional(json_response(*user, status));
}

// What is set for a user, as `read` understands it, or nothing where null is given: as the site has it again.
template <class Rules>
Result<std::optional<Rules>> given_or_null(const nlohmann::json& given, Result<Rules> (*read)(const nlohmann::json&)) {
  if (given.is_null()) return std::optional<Rules>();
  auto rules = read(given);
  if (!rules) return rules.error();
  return std::optional<Rules>(std::move(*rules));
}

// Exceptions given or taken change what keys may do: sessions that rest on one that may not log in any more end.
asio::awaitable<Result<void>> set_exceptions(ApiCall& call, std::string name) {
  const auto& services = call.lane.services();
  auto exceptions = given_or_null(call.body.at("key_exceptions"), auth::exceptions_in);
  if (!exceptions) co_return exceptions.error();
  auto set = co_await services.directory.set_key_exceptions(call.caller.actor, name, std::move(*exceptions));
  if (!set) co_return set.error();
  for (const auth::Key& key : services.directory.list_keys(*call.lane.reader, name)) {
    const auth::KeyVerdict verdict = services.directory.judge(key);
    if (!verdict.allowed()) services.sessions.kill_key(key.fingerprint, auth::words_for_ended(key, verdict));
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> set_forwards(ApiCall& call, std::string name) {
  auto rules = given_or_null(call.body.at("forwards"), auth::forward_rules_in);
  if (!rules) co_return rules.error();
  auto set = co_await call.lane.services().directory.set_forwards(call.caller.actor, name, std::move(*rules));
  co_return set;
}

// Containers and agents of a user who is being removed; the homes stay.
asio::awaitable<Result<void>> remove_workspaces(LaneServer& lane, std::string user) {
  auto all = co_await lane.services().manager.list(lane.lane, user);
  if (!all) co_return all.error();
  for (const auto& status : *all) {
    if (status.created_at == Timestamp{} && status.state == workspaces::WorkspaceState::stopped) continue;  // never made
    auto removed = co_await lane.services().manager.remove(lane.lane, status.id, false);
    if (!removed && removed.error().kind != ErrorKind::not_found) co_return removed.error();
  }
  co_return Result<void>{};
}

}  // namespace

asio::awaitable<ApiReply> get_users(ApiCall& call) {
  auth::UserQuery wish{call.query("q").value_or(""), call.query("after").value_or(""), call.query_flag("exceptions")};
  wish.limit = call.query_number("limit", wish.limit, wish.limit);
  const auth::UserPage page = call.lane.services().directory.list_users(*call.lane.reader, wish);
  nlohmann::json items = nlohmann::json::array();
  for (const auto& row : page.rows) items.push_back(to_json(row.user, row.keys));
  co_return json_response({{"items", std::move(items)}, {"next", text_json(page.next)}});
}

asio::awaitable<ApiReply> get_user(ApiCall& call) {
  auto user = user_json(call, call.params[0], true);
  if (!user) co_return user.error();
  co_return json_response(*user);
}

asio::awaitable<ApiReply> post_user(ApiCall& call) {
  const auto name = call.text("name"), role_name = call.text("role", "user");
  if (!name) co_return name.error();
  if (!role_name) co_return role_name.error();
  const auto role = parse_role(*role_name);
  if (!role) co_return role.error();
  auto added = co_await call.lane.services().directory.add_user(call.caller.actor, *name, *role);
  if (!added) co_return added.error();
  co_return json_response(to_json(*added, 0), 201);
}

asio::awaitable<ApiReply> patch_user(ApiCall& call) {
  const std::string& name = call.params[0];
  const auto& services = call.lane.services();
  const auto role_name = call.text("role", "");
  if (!role_name) co_return role_name.error();
  const auto disabled = call.body.find("disabled");
  if (disabled != call.body.end() && !disabled->is_boolean()) co_return Error{ErrorKind::invalid, "'disabled' is not true or false"};
  if (call.body.contains("key_exceptions")) {
    auto set = co_await set_exceptions(call, name);
    if (!set) co_return set.error();
  }
  if (call.body.contains("forwards")) {
    auto set = co_await set_forwards(call, name);
    if (!set) co_return set.error();
  }
  if (!role_name->empty()) {
    const auto role = parse_role(*role_name);
    if (!role) co_return role.error();
    auto set = co_await services.directory.set_role(call.caller.actor, name, *role);
    if (!set) co_return set.error();
  }
  if (disabled != call.body.end()) {
    const bool value = disabled->get<bool>();
    auto set = co_await services.directory.set_disabled(call.caller.actor, name, value);
    if (!set) co_return set.error();
    if (value) services.sessions.kill_user(name, "the account was disabled");
  }
  co_return user_reply(call, name, 200);
}

// Locked out first, then what runs ends, then the records: whatever fails in between, nobody is left inside.
asio::awaitable<ApiReply> delete_user(ApiCall& call) {
  const std::string& name = call.params[0];
  const auto& services = call.lane.services();
  auto done = co_await services.directory.set_disabled(call.caller.actor, name, true);
  if (!done) co_return done.error();
  services.sessions.kill_user(name, "the account was removed");
  done = co_await remove_workspaces(call.lane, name);
  if (!done) co_return Error{done.error().kind, "the user is disabled, but a workspace could not be removed: " + done.error().message};
  done = co_await services.directory.remove_user(call.caller.actor, name);
  if (!done) co_return done.error();
  co_return json_response(nlohmann::json::object());
}

}  // namespace berth::web
