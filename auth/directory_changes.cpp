// Changes to users: each is one transaction with its audit row.
#include "auth/audit.hpp"
#include "auth/directory.hpp"
#include "auth/forward_policy.hpp"
#include "auth/key_exceptions.hpp"
#include "auth/refusals.hpp"
#include "auth/rows.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

Error no_user(std::string_view name) { return {ErrorKind::not_found, "there is no user '" + stored_text(name, 64) + "'"}; }

std::optional<User> user_named(SQLite::Database& db, const std::string& name) {
  static const std::string kSql = std::string("SELECT ") + kUserColumns + " FROM users u WHERE u.name = ?";
  SQLite::Statement row = query(db, kSql.c_str(), name);
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

asio::awaitable<Result<void>> Directory::set_key_exceptions(Actor actor, std::string name, std::optional<KeyExceptions> exceptions) {
  if (actor.role != Role::admin) co_return only_admins();
  const Timestamp now = clock_.now();
  std::string stored;
  if (exceptions) {
    if (exceptions->until != Timestamp{} && exceptions->until <= now) co_return Error{ErrorKind::invalid, "these exceptions would have ended already"};
    exceptions->set_by = actor.name;
    exceptions->set_at = now;
    stored = stored_form(*exceptions);
  }
  auto change = [=](SQLite::Database& db) -> Result<void> {
    if (run(db, "UPDATE users SET key_exceptions = ? WHERE name = ?", stored, name) == 0) return no_user(name);
    append_audit(db, now, actor, "user.except", name + " " + (stored.empty() ? "none" : stored), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  note_change();
  co_return done;
}

asio::awaitable<Result<void>> Directory::set_forwards(Actor actor, std::string name, std::optional<ForwardRules> rules) {
  if (actor.role != Role::admin) co_return only_admins();
  const std::string stored = rules ? stored_form(*rules) : "";
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    if (run(db, "UPDATE users SET forwards = ? WHERE name = ?", stored, name) == 0) return no_user(name);
    append_audit(db, now, actor, "user.forwards", name + " " + (stored.empty() ? "as the site" : stored), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

}  // namespace berth::auth
