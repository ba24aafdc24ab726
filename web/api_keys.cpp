// Keys of users: what they are, what would end with them, and their change.
#include "auth/authorities.hpp"
#include "auth/key_clock.hpp"
#include "auth/key_notices.hpp"
#include "auth/sessions.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::int64_t kMostGraceSeconds = 3650LL * 86400;
constexpr auth::KeyState kStates[] = {auth::KeyState::active, auth::KeyState::superseded, auth::KeyState::expired, auth::KeyState::revoked};

Error no_key() { return {ErrorKind::not_found, "there is no such key"}; }

nlohmann::json key_json(const ApiCall& call, const auth::Key& key) { return to_json(key, call.lane.services().directory.judge(key)); }

nlohmann::json keys_json(const ApiCall& call, const std::vector<auth::Key>& keys) {
  nlohmann::json items = nlohmann::json::array();
  for (const auth::Key& key : keys) items.push_back(key_json(call, key));
  return items;
}

Result<Timestamp> parse_expiry(const ApiCall& call) {
  const auto text = call.text("expires_at", "");
  if (!text) return text.error();
  if (text->empty()) return Timestamp{};
  return parse_timestamp(*text);
}

// May this caller see the keys of `user`?
Result<void> may_read(const ApiCall& call, std::string_view user) {
  if (call.caller.reads_all()) return {};
  if (user != call.caller.actor.name) return Error{ErrorKind::denied, "you may list your own keys only"};
  if (auth::allows_self_service(call.lane.services().directory.policy(), "list")) return {};
  return Error{ErrorKind::denied, "users may not list their keys here: ask an administrator"};
}

// The key that the path names, if the caller may see it.
Result<auth::Key> named_key(const ApiCall& call) {
  auto key = call.lane.services().directory.find_key(*call.lane.reader, call.params[0]);
  if (!key || may_read(call, key->user).has_error()) return no_key();
  return *key;
}

asio::awaitable<ApiReply> all_keys(ApiCall& call) {
  auth::KeyQuery wish;
  wish.q = call.query("q").value_or("");
  wish.limit = call.query_number("limit", wish.limit, wish.limit);
  wish.after = static_cast<std::int64_t>(call.query_number("after", 0, INT64_MAX));
  if (const auto state = call.query("state")) {
    for (const auth::KeyState each : kStates)
      if (auth::name_of(each) == *state) wish.state = each;
    if (!wish.state) co_return Error{ErrorKind::invalid, "a key is active, superseded, expired or revoked"};
  }
  const auth::KeyPage page = call.lane.services().directory.find_keys(*call.lane.reader, wish);
  co_return json_response({{"items", keys_json(call, page.rows)}, {"next", page.next == 0 ? nlohmann::json(nullptr) : nlohmann::json(page.next)}});
}

// A session by a certificate that was asked for with this key ends with it too.
bool rests_on_key(const ApiCall& call, const auth::SessionRecord& session, const auth::Key& key) {
  const auth::Authorities* authorities = call.lane.services().authorities;
  return authorities && authorities->asked_for_with(*call.lane.reader, session.certificate, key.fingerprint);
}

}  // namespace

asio::awaitable<ApiReply> get_keys(ApiCall& call) {
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  const std::string user = call.query_flag("all") ? std::string() : call.query("user").value_or(own);
  if (const auto allowed = may_read(call, user); !allowed) co_return allowed.error();
  if (user.empty()) co_return co_await all_keys(call);
  co_return json_response({{"items", keys_json(call, call.lane.services().directory.list_keys(*call.lane.reader, user))}, {"next", nullptr}});
}

asio::awaitable<ApiReply> get_key(ApiCall& call) {
  const auto key = named_key(call);
  if (!key) co_return key.error();
  co_return json_response(key_json(call, *key));
}

asio::awaitable<ApiReply> get_key_impact(ApiCall& call) {
  const auto key = named_key(call);
  if (!key) co_return key.error();
  const auto& services = call.lane.services();
  nlohmann::json sessions = nlohmann::json::array(), browsers = nlohmann::json::array(), addresses = nlohmann::json::array(), others = nlohmann::json::array();
  for (const auto& rows : {services.sessions.live(), services.sessions.elsewhere(*call.lane.reader)})
    for (const auth::SessionRecord& row : rows)
      if (row.key_fingerprint == key->fingerprint || rests_on_key(call, row, *key)) sessions.push_back(to_json(row));
  const std::string current = call.caller.login ? call.caller.login->session.id : std::string();
  for (const auth::WebSession& session : services.logins.list(*call.lane.reader, key->user))
    if (session.key_fingerprint == key->fingerprint) browsers.push_back(to_json(session, current));
  const auth::KeyUses uses = services.directory.uses_of(*call.lane.reader, key->id);
  for (const auto& source : uses.sources) addresses.push_back({{"address", source.address}, {"uses", source.uses}, {"last_at", time_json(source.last_at)}});
  for (const auth::Key& other : services.directory.list_keys(*call.lane.reader, key->user))
    if (other.id != key->id && services.directory.judge(other).allowed()) others.push_back(key_json(call, other));
  const bool keeps = !others.empty();
  co_return json_response({{"key", key_json(call, *key)},
                           {"sessions", std::move(sessions)},
                           {"web_sessions", std::move(browsers)},
                           {"uses_30d", uses.uses},
                           {"addresses", std::move(addresses)},
                           {"other_keys", std::move(others)},
                           {"keeps_access", keeps}});
}

asio::awaitable<ApiReply> post_key(ApiCall& call) {
  const auto line = call.text("public_key");
  if (!line) co_return line.error();
  const auto expires_at = parse_expiry(call);
  if (!expires_at) co_return expires_at.error();
  const auto dry_run = call.flag("dry_run", false);
  if (!dry_run) co_return dry_run.error();
  auto added = co_await call.lane.services().directory.add_key(call.caller.actor, call.params[0], *line, *expires_at, *dry_run);
  if (!added) co_return added.error();
  co_return json_response(key_json(call, *added), *dry_run ? 200 : 201);
}

asio::awaitable<ApiReply> post_rotation(ApiCall& call) {
  const auto& services = call.lane.services();
  const auto line = call.text("public_key"), replaces = call.text("replaces", "");
  const auto expires_at = parse_expiry(call);
  const auto grace = call.number("grace_s");
  const auto retire = call.flag("retire_on_first_use", false);
  if (!line) co_return line.error();
  if (!replaces) co_return replaces.error();
  if (!expires_at) co_return expires_at.error();
  if (!grace) co_return grace.error();
  if (!retire) co_return retire.error();
  auth::Rotation rotation{call.params[0], *line, *replaces, std::nullopt, *retire, *expires_at};
  if (*grace) {
    if (**grace < 0 || **grace > kMostGraceSeconds) co_return Error{ErrorKind::invalid, "'grace_s' is from 0 to 3650 days"};
    rotation.grace = std::chrono::seconds(**grace);
  }
  auto rotated = co_await services.directory.rotate_key(call.caller.actor, std::move(rotation));
  if (!rotated) co_return rotated.error();
  for (const auth::Key& key : rotated->superseded) {
    const auth::KeyVerdict verdict = services.directory.judge(key);
    if (!verdict.allowed()) services.sessions.kill_key(key.fingerprint, auth::words_for_ended(key, verdict));
  }
  co_return json_response({{"key", key_json(call, rotated->key)}, {"superseded", keys_json(call, rotated->superseded)}}, 201);
}

asio::awaitable<ApiReply> delete_key(ApiCall& call) {
  auto revoked = co_await call.lane.services().directory.revoke_key(call.caller.actor, call.params[0]);
  if (!revoked) co_return revoked.error();
  std::size_t ended = call.lane.services().sessions.kill_key(revoked->fingerprint, "The key that you came with was revoked.");
  ended += end_broken_certificates(call);  // for this key, or asked for with it
  co_return json_response({{"ended_sessions", ended}});
}

asio::awaitable<ApiReply> get_key_policy(ApiCall& call) {
  const auto& services = call.lane.services();
  const auto user = services.directory.find_user(*call.lane.reader, call.caller.actor.name);
  const auth::KeyPolicy policy = auth::policy_for(services.directory.policy(), user ? user->key_exceptions : auth::KeyExceptions{}, services.clock.now());
  co_return json_response({{"allowed_types", policy.allowed_types},
                           {"min_rsa_bits", policy.min_rsa_bits},
                           {"max_age_s", policy.max_age.count()},
                           {"warn_before_s", policy.warn_before.count()},
                           {"grace_s", policy.grace.count()},
                           {"max_per_user", policy.max_per_user},
                           {"require_hardware", policy.require_hardware},
                           {"require_touch", policy.require_touch},
                           {"self_service", policy.self_service}});
}

asio::awaitable<ApiReply> get_notices(ApiCall& call) {
  const auto& services = call.lane.services();
  nlohmann::json items = nlohmann::json::array();
  for (const auth::Notice& notice : auth::notices_for(*call.lane.reader, services.directory, services.campaigns, call.caller.actor.name,
                                                      call.caller.actor.key_fingerprint, call.lane.shared.options.ssh_command(), services.clock.now())) {
    items.push_back({{"kind", notice.kind},
                     {"text", notice.text},
                     {"key_fingerprint", notice.key_fingerprint},
                     {"until", time_json(notice.until)},
                     {"successor", text_json(notice.successor)},
                     {"current", notice.current}});
  }
  co_return list_response(std::move(items));
}

}  // namespace berth::web
