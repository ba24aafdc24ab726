// Changes to keys: add, rotate, retire, revoke. Each is one transaction with its audit rows; what is allowed is decided inside it, on
// the rows as they are then.
#include <algorithm>

#include "auth/audit.hpp"
#include "auth/directory.hpp"
#include "auth/key_options.hpp"
#include "auth/refusals.hpp"
#include "auth/rows.hpp"
#include "auth/store_change.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

Error no_key() { return {ErrorKind::not_found, "there is no such key"}; }
Error conflict(std::string why) { return {ErrorKind::conflict, std::move(why)}; }

// A change to the keys of one user, with what it is decided on.
struct Work {
  SQLite::Database& db;
  const Actor& actor;
  const Directory& directory;
  Timestamp now;
  User user;
  KeyPolicy policy;  // of this user

  std::vector<Key> keys() const { return directory.list_keys(db, user.name); }
};

// Error{denied} when the actor may not do `what` ("add", "rotate", "remove") with keys of `user`.
Result<void> may_change(const Actor& actor, const std::string& user, const KeyPolicy& site, std::string_view what) {
  if (actor.role == Role::admin) return {};
  if (actor.name != user) return only_admins();
  if (allows_self_service(site, what)) return {};
  return Error{ErrorKind::denied, "users may not " + std::string(what) + " keys themselves here: ask an administrator"};
}

Result<Work> begin(SQLite::Database& db, const Actor& actor, const Directory& directory, Timestamp now, const std::string& name) {
  auto user = directory.find_user(db, name);
  if (!user) return Error{ErrorKind::not_found, "there is no user '" + stored_text(name, 64) + "'"};
  KeyPolicy policy = policy_for(directory.policy(), user->key_exceptions, now);
  return Work{db, actor, directory, now, std::move(*user), std::move(policy)};
}

// Does the wish fit the policy?
Result<void> check_expiry(const KeyPolicy& policy, Timestamp wish, Timestamp now) {
  if (wish == Timestamp{}) return {};
  if (wish <= now) return Error{ErrorKind::invalid, "the key would have expired already: give a later time"};
  if (policy.max_age.count() == 0 || wish <= now + policy.max_age) return {};
  return Error{ErrorKind::invalid, "keys expire after at most " + format_duration(policy.max_age) + " here: give an earlier time"};
}

// Is the key somebody's already, or was it taken away for good?
Result<void> check_owner(const Work& work, const std::string& fingerprint) {
  SQLite::Statement row = query(work.db, "SELECT u.name, k.revoked_at FROM keys k JOIN users u ON u.id = k.user_id WHERE k.fingerprint = ? ORDER BY k.revoked_at <> 0 LIMIT 1",
                                fingerprint);
  if (!row.executeStep()) return {};
  const std::string owner = text_in(row, 0);
  const bool revoked = time_in(row, 1) != Timestamp{}, by_admin = work.actor.role == Role::admin;
  if (revoked && by_admin) return {};
  if (revoked) return conflict("this key was revoked: make a new one with ssh-keygen");
  if (owner == work.user.name) return conflict("this key is already there (" + fingerprint + ")");
  if (!by_admin) return conflict("this key cannot be added: make a key of your own with ssh-keygen");
  return conflict("this key already belongs to user '" + owner + "'; a key has one user");
}

// After a change: has the user more keys than allowed? Keys in grace do not count, but there is an end to them too.
Result<void> check_number(const Work& work) {
  const std::int64_t most = work.policy.max_per_user;
  if (most == 0) return {};
  std::int64_t active = 0, superseded = 0;
  for (const Key& key : work.keys()) {
    const KeyState state = work.directory.judge(key).state;
    active += state == KeyState::active ? 1 : 0;
    superseded += state == KeyState::superseded ? 1 : 0;
  }
  if (active > most) return conflict(work.user.name + " has " + std::to_string(active - 1) + " keys, and no more are allowed: remove one first");
  if (superseded > 2 * most) return conflict("too many replaced keys are still in their grace: remove some of them first");
  return {};
}

Result<Key> insert_key(const Work& work, const std::string& line, Timestamp expires_at) {
  const auto split = split_authorized_line(line, is_key_type);
  if (split.has_error()) return split.error();
  const auto options = parse_key_options(split->options);
  if (options.has_error()) return options.error();
  auto parsed = parse_public_key(split->key, work.policy);
  if (parsed.has_error()) return parsed.error();
  if (options->expires_at != Timestamp{} && (expires_at == Timestamp{} || options->expires_at < expires_at)) expires_at = options->expires_at;
  if (const auto fits = check_expiry(work.policy, expires_at, work.now); fits.has_error()) return fits.error();
  if (const auto free = check_owner(work, parsed->fingerprint); free.has_error()) return free.error();
  Key key = std::move(*parsed);
  run(work.db, "INSERT INTO keys (user_id, type, blob, fingerprint, comment, added_at, expires_at, options) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", work.user.id,
      key.type, Blob{key.blob}, key.fingerprint, key.comment, work.now, expires_at, options->text);
  append_audit(work.db, work.now, work.actor, "key.add", work.user.name + " " + key.fingerprint, "ok");
  auto stored = work.directory.find_key(work.db, key.fingerprint);
  if (!stored) return Error{ErrorKind::internal, "the key was not stored"};
  return *stored;
}

std::string listed(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys) text += (text.empty() ? "" : ", ") + key.fingerprint + (key.comment.empty() ? "" : " (" + key.comment + ")");
  return text;
}

// The keys that a rotation replaces.
Result<std::vector<Key>> replaced_by(const Work& work, const Rotation& rotation) {
  std::vector<Key> active;
  for (Key& key : work.keys()) {
    if (work.directory.judge(key).state == KeyState::active) active.push_back(std::move(key));
  }
  const auto only = [&](const std::string& fingerprint) -> std::vector<Key> {
    for (const Key& key : active) {
      if (key.fingerprint == fingerprint) return {key};
    }
    return {};
  };
  if (active.empty()) return conflict(work.user.name + " has no key that could be replaced: add the new one instead (berth key add)");
  if (rotation.replaces == "all") return active;
  if (!rotation.replaces.empty()) {
    auto named = only(rotation.replaces);
    if (named.empty()) return Error{ErrorKind::not_found, work.user.name + " has no active key " + stored_text(rotation.replaces, 64)};
    return named;
  }
  if (work.actor.name == work.user.name) {
    if (auto own = only(work.actor.key_fingerprint); !own.empty()) return own;
  }
  if (active.size() == 1) return active;
  return conflict("say which key is replaced (--replaces FINGERPRINT, or all): " + listed(active));
}

Result<std::chrono::seconds> grace_of(const Work& work, const Rotation& rotation) {
  const auto grace = rotation.grace.value_or(work.policy.grace);
  if (grace.count() < 0) return Error{ErrorKind::invalid, "a grace is not negative"};
  if (work.actor.role != Role::admin && grace > work.policy.grace) {
    return Error{ErrorKind::invalid, "a replaced key works for at most " + format_duration(work.policy.grace) + " here: give a shorter grace"};
  }
  return grace;
}

Result<Rotated> rotate(const Work& work, const Rotation& rotation) {
  const auto grace = grace_of(work, rotation);
  if (grace.has_error()) return grace.error();
  const auto old = replaced_by(work, rotation);
  if (old.has_error()) return old.error();
  auto added = insert_key(work, rotation.line, rotation.expires_at);
  if (added.has_error()) return added.error();
  for (const Key& key : *old) {
    run(work.db, "UPDATE keys SET superseded_at = ?, grace_ends_at = ?, successor_id = ?, retire_on_first_use = ? WHERE id = ?", work.now, work.now + *grace,
        added->id, std::int64_t{rotation.retire_on_first_use}, key.id);
    append_audit(work.db, work.now, work.actor, "key.supersede", work.user.name + " " + key.fingerprint + " by " + added->fingerprint, "ok");
  }
  // A successor may do no more than what it replaces, unless an admin says so by options of its own.
  const std::string& options = old->front().options;
  const bool same = std::all_of(old->begin(), old->end(), [&](const Key& key) { return key.options == options; });
  if (!same && work.actor.role != Role::admin) return conflict("these keys have different options: replace them one by one");
  if (!options.empty() && (added->options.empty() || work.actor.role != Role::admin)) {
    run(work.db, "UPDATE keys SET options = ? WHERE id = ?", options, added->id);
    added->options = options;
  }
  if (rotation.retire_on_first_use) run(work.db, "UPDATE keys SET retires_older = 1 WHERE id = ?", added->id);
  if (const auto room = check_number(work); room.has_error()) return room.error();
  Rotated rotated{std::move(*added), {}};
  for (const Key& key : *old) {
    if (auto now = work.directory.find_key(work.db, key.fingerprint)) rotated.superseded.push_back(std::move(*now));
  }
  return rotated;
}

// Would the user, without this key, still have one that stays?
bool keeps_a_key(const Work& work, const Key& without) {
  const auto keys = work.keys();
  return std::any_of(keys.begin(), keys.end(), [&](const Key& key) { return key.id != without.id && counts_as_lasting(work.directory.judge(key)); });
}

Result<Key> revoke(const Work& work, const Key& key) {
  if (key.revoked_at != Timestamp{}) return conflict("this key was revoked already");
  if (work.actor.role != Role::admin && work.directory.judge(key).allowed() && !keeps_a_key(work, key)) {
    return conflict("this is your last key that stays valid, and without it you could not log in any more: add another first, or use rotate");
  }
  run(work.db, "UPDATE keys SET revoked_at = ? WHERE id = ?", work.now, key.id);
  append_audit(work.db, work.now, work.actor, "key.revoke", work.user.name + " " + key.fingerprint, "ok");
  Key revoked = key;
  revoked.revoked_at = work.now;
  return revoked;
}

}  // namespace

asio::awaitable<Result<Key>> Directory::add_key(Actor actor, std::string user, std::string line, Timestamp expires_at, bool dry_run) {
  if (auto allowed = may_change(actor, user, policy_, "add"); allowed.has_error()) co_return allowed.error();
  // Trying is doing it and then giving it up: an error takes everything back.
  const auto tried = std::make_shared<std::optional<Key>>();
  std::function<Result<Key>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<Key> {
    const auto work = begin(db, actor, *this, now, user);
    if (work.has_error()) return work.error();
    auto added = insert_key(*work, line, expires_at);
    if (added.has_error()) return added.error();
    if (const auto room = check_number(*work); room.has_error()) return room.error();
    if (!dry_run) return added;
    *tried = *added;
    return Error{ErrorKind::conflict, "this was a trial"};
  };
  auto added = co_await write_answer<Key>(store_, std::move(change));
  if (*tried) co_return **tried;
  note_change();
  co_return added;
}

asio::awaitable<Result<Rotated>> Directory::rotate_key(Actor actor, Rotation rotation) {
  if (auto allowed = may_change(actor, rotation.user, policy_, "rotate"); allowed.has_error()) co_return allowed.error();
  std::function<Result<Rotated>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<Rotated> {
    const auto work = begin(db, actor, *this, now, rotation.user);
    if (work.has_error()) return work.error();
    return rotate(*work, rotation);
  };
  auto rotated = co_await write_answer<Rotated>(store_, std::move(change));
  note_change();
  co_return rotated;
}

asio::awaitable<Result<std::vector<Key>>> Directory::retire_older(Actor actor, std::int64_t key_id) {
  std::function<Result<std::vector<Key>>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<std::vector<Key>> {
    static const std::string kSql = std::string("SELECT ") + kKeyColumns +
                                    " FROM keys k JOIN users u ON u.id = k.user_id WHERE k.successor_id = ? AND k.retire_on_first_use = 1 AND "
                                    "k.revoked_at = 0 AND k.grace_ends_at > ?";
    std::vector<Key> retired;
    {
      SQLite::Statement row = query(db, kSql.c_str(), key_id, now);
      while (row.executeStep()) retired.push_back(key_in(row, 0));
    }
    for (Key& key : retired) {
      run(db, "UPDATE keys SET grace_ends_at = ? WHERE id = ?", now, key.id);
      append_audit(db, now, actor, "key.retire", key.user + " " + key.fingerprint + " by " + key.successor, "ok");
      key.grace_ends_at = now;
    }
    run(db, "UPDATE keys SET retires_older = 0 WHERE id = ?", key_id);
    return retired;
  };
  auto retired = co_await write_answer<std::vector<Key>>(store_, std::move(change));
  note_change();
  co_return retired;
}

asio::awaitable<Result<Key>> Directory::revoke_key(Actor actor, std::string fingerprint) {
  std::function<Result<Key>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<Key> {
    const auto key = find_key(db, fingerprint);
    if (!key || (actor.role != Role::admin && key->user != actor.name)) return no_key();
    if (auto allowed = may_change(actor, key->user, policy_, "remove"); allowed.has_error()) return allowed.error();
    const auto work = begin(db, actor, *this, now, key->user);
    if (work.has_error()) return work.error();
    return revoke(*work, *key);
  };
  auto revoked = co_await write_answer<Key>(store_, std::move(change));
  note_change();
  co_return revoked;
}

}  // namespace berth::auth
