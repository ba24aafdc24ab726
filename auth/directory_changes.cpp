// Changes to users and keys: each is one transaction with its audit row.
#include "auth/audit.hpp"
#include "auth/directory.hpp"
#include "auth/rows.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

Error only_admins() { return {ErrorKind::denied, "only an admin may do this"}; }
Error no_user(std::string_view name) { return {ErrorKind::not_found, "there is no user '" + stored_text(name, 64) + "'"}; }
Error no_key() { return {ErrorKind::not_found, "there is no such key"}; }

std::optional<User> user_named(SQLite::Database& db, const std::string& name) {
  SQLite::Statement row = query(db, "SELECT u.id, u.name, u.role, u.disabled, u.created_at FROM users u WHERE u.name = ?", name);
  if (!row.executeStep()) return std::nullopt;
  return user_in(row, 0);
}

// One column of one user, and the audit row.
Result<void> set_column(SQLite::Database& db, Timestamp now, const Actor& actor, const char* sql, std::int64_t number, std::string_view text,
                        const std::string& name, std::string_view action) {
  const bool is_text = !text.empty();
  const int changed = is_text ? run(db, sql, text, name) : run(db, sql, number, name);
  if (changed == 0) return no_user(name);
  append_audit(db, now, actor, action, is_text ? name + " " + std::string(text) : name, "ok");
  return {};
}

// When a new key dies, under the policy; an Error when the wish does not fit.
Result<Timestamp> expiry_under(const Settings::Keys& policy, Timestamp wish, Timestamp now) {
  if (wish != Timestamp{} && wish <= now) return Error{ErrorKind::invalid, "the key would have expired already: give a later time"};
  if (policy.max_age.count() == 0) return wish;
  const Timestamp latest = now + policy.max_age;
  if (wish == Timestamp{}) return latest;
  if (wish > latest) return Error{ErrorKind::invalid, "keys expire after at most " + format_duration(policy.max_age) + " here: give an earlier time"};
  return wish;
}

// The owner of a key in force, if it has one.
std::optional<std::string> owner_of(SQLite::Database& db, const std::string& fingerprint) {
  SQLite::Statement row = query(db, "SELECT u.name FROM keys k JOIN users u ON u.id = k.user_id WHERE k.fingerprint = ? AND k.revoked_at = 0", fingerprint);
  if (!row.executeStep()) return std::nullopt;
  return text_in(row, 0);
}

Result<void> insert_key(SQLite::Database& db, const Actor& actor, Key& key) {
  const auto user = user_named(db, key.user);
  if (!user) return no_user(key.user);
  if (const auto owner = owner_of(db, key.fingerprint)) {
    if (*owner == key.user) return Error{ErrorKind::conflict, "this key is already there (" + key.fingerprint + ")"};
    if (actor.role != Role::admin) return Error{ErrorKind::conflict, "this key cannot be added: make a key of your own with ssh-keygen"};
    return Error{ErrorKind::conflict, "this key already belongs to user '" + *owner + "'; a key has one user"};
  }
  run(db, "INSERT INTO keys (user_id, type, blob, fingerprint, comment, added_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)", user->id, key.type,
      Blob{key.blob}, key.fingerprint, key.comment, key.added_at, key.expires_at);
  key.user_id = user->id;
  key.id = db.getLastInsertRowid();
  append_audit(db, key.added_at, actor, "key.add", key.user + " " + key.fingerprint, "ok");
  return {};
}

}  // namespace

asio::awaitable<Result<User>> Directory::add_user(Actor actor, std::string name, Role role) {
  if (actor.role != Role::admin) co_return only_admins();
  if (auto fits = check_user_name(name); fits.has_error()) co_return fits.error();
  auto user = std::make_shared<User>(User{0, name, role, false, clock_.now()});
  auto change = [user, actor](SQLite::Database& db) -> Result<void> {
    if (user_named(db, user->name)) return Error{ErrorKind::conflict, "user '" + user->name + "' exists already"};
    run(db, "INSERT INTO users (name, role, created_at) VALUES (?, ?, ?)", user->name, name_of(user->role), user->created_at);
    user->id = db.getLastInsertRowid();
    append_audit(db, user->created_at, actor, "user.add", user->name + " " + std::string(name_of(user->role)), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return *user;
}

asio::awaitable<Result<void>> Directory::set_disabled(Actor actor, std::string name, bool disabled) {
  if (actor.role != Role::admin) co_return only_admins();
  auto change = [=, now = clock_.now()](SQLite::Database& db) {
    return set_column(db, now, actor, "UPDATE users SET disabled = ? WHERE name = ?", disabled ? 1 : 0, {}, name, disabled ? "user.disable" : "user.enable");
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Directory::set_role(Actor actor, std::string name, Role role) {
  if (actor.role != Role::admin) co_return only_admins();
  auto change = [=, now = clock_.now()](SQLite::Database& db) {
    return set_column(db, now, actor, "UPDATE users SET role = ? WHERE name = ?", 0, name_of(role), name, "user.role");
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Directory::remove_user(Actor actor, std::string name) {
  if (actor.role != Role::admin) co_return only_admins();
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    if (run(db, "DELETE FROM users WHERE name = ?", name) == 0) return no_user(name);
    append_audit(db, now, actor, "user.remove", name, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<Key>> Directory::add_key(Actor actor, std::string user, std::string line, Timestamp expires_at) {
  if (actor.role != Role::admin && actor.name != user) co_return only_admins();
  auto parsed = parse_public_key(line, policy_);
  if (parsed.has_error()) co_return parsed.error();
  const Timestamp now = clock_.now();
  const auto expiry = expiry_under(policy_, expires_at, now);
  if (expiry.has_error()) co_return expiry.error();
  auto key = std::make_shared<Key>(std::move(*parsed));
  key->user = user;
  key->added_at = now;
  key->expires_at = *expiry;
  auto change = [key, actor](SQLite::Database& db) { return insert_key(db, actor, *key); };
  auto done = co_await store_.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return *key;
}

asio::awaitable<Result<Key>> Directory::revoke_key(Actor actor, std::string fingerprint) {
  auto key = std::make_shared<Key>();
  auto change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto found = find_key(db, fingerprint);
    if (!found || (actor.role != Role::admin && found->user != actor.name)) return no_key();
    if (found->revoked_at != Timestamp{}) return Error{ErrorKind::conflict, "this key was revoked already"};
    run(db, "UPDATE keys SET revoked_at = ? WHERE id = ?", now, found->id);
    append_audit(db, now, actor, "key.revoke", found->user + " " + fingerprint, "ok");
    *key = *found;
    key->revoked_at = now;
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return *key;
}

}  // namespace berth::auth
