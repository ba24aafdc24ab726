// Users and their keys.
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

Result<Timestamp> parse_expiry(const ApiCall& call) {
  const auto text = call.text("expires_at", "");
  if (!text) return text.error();
  if (text->empty()) return Timestamp{};
  return parse_timestamp(*text);
}

nlohmann::json keys_json(const ApiCall& call, std::string_view user) {
  nlohmann::json items = nlohmann::json::array();
  const Timestamp now = call.lane.services().clock.now();
  for (const auth::Key& key : call.lane.services().directory.list_keys(*call.lane.reader, user)) items.push_back(to_json(key, now));
  return items;
}

Error no_user(const std::string& name) { return Error{ErrorKind::not_found, "there is no user '" + name + "'"}; }

Result<nlohmann::json> user_json(const ApiCall& call, const std::string& name, bool with_keys) {
  const auto user = call.lane.services().directory.find_user(*call.lane.reader, name);
  if (!user) return no_user(name);
  nlohmann::json keys = keys_json(call, name);
  nlohmann::json item = to_json(*user, keys.size());
  if (with_keys) item["key_list"] = std::move(keys);
  return json_result(std::move(item));
}

ApiReply user_reply(const ApiCall& call, const std::string& name, int status) {
  auto user = user_json(call, name, false);
  if (!user) return user.error();
  return std::optional(json_response(*user, status));
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

asio::awaitable<ApiReply> get_keys(ApiCall& call) {
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  std::string user = call.query("user").value_or(own);
  if (call.query_flag("all")) user.clear();
  if (user != own && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own keys only"};
  co_return list_response(keys_json(call, user));
}

asio::awaitable<ApiReply> post_key(ApiCall& call) {
  const auto line = call.text("public_key");
  if (!line) co_return line.error();
  const auto expires_at = parse_expiry(call);
  if (!expires_at) co_return expires_at.error();
  auto added = co_await call.lane.services().directory.add_key(call.caller.actor, call.params[0], *line, *expires_at);
  if (!added) co_return added.error();
  co_return json_response(to_json(*added, call.lane.services().clock.now()), 201);
}

asio::awaitable<ApiReply> delete_key(ApiCall& call) {
  auto revoked = co_await call.lane.services().directory.revoke_key(call.caller.actor, call.params[0]);
  if (!revoked) co_return revoked.error();
  const std::size_t ended = call.lane.services().sessions.kill_key(revoked->fingerprint, "the key was revoked");
  co_return json_response({{"ended_sessions", ended}});
}

asio::awaitable<ApiReply> get_users(ApiCall& call) {
  std::unordered_map<std::string, std::size_t> keys;
  for (const auth::Key& key : call.lane.services().directory.list_keys(*call.lane.reader, {})) ++keys[key.user];
  nlohmann::json items = nlohmann::json::array();
  for (const auth::User& user : call.lane.services().directory.list_users(*call.lane.reader)) items.push_back(to_json(user, keys[user.name]));
  co_return list_response(std::move(items));
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
