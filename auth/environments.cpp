#include "auth/environments.hpp"

#include "auth/audit.hpp"
#include "auth/rows.hpp"

namespace berth::auth {
namespace asio = boost::asio;
namespace {

constexpr char kColumns[] =
    "SELECT e.id, u.name, e.name, e.revision, (SELECT count(*) FROM environment_revisions c WHERE c.environment_id = e.id), e.is_default, e.created_at, "
    "e.updated_at, r.lock_hash, r.tree_hash, r.packages, r.size_bytes FROM environments e JOIN users u ON u.id = e.user_id "
    "JOIN environment_revisions r ON r.environment_id = e.id AND r.number = e.revision ";

Environment environment_in(const SQLite::Statement& row) {
  Environment found;
  found.id = row.getColumn(0).getInt64();
  found.user = text_in(row, 1);
  found.name = text_in(row, 2);
  found.revision = row.getColumn(3).getInt64();
  found.revisions = row.getColumn(4).getInt64();
  found.is_default = row.getColumn(5).getInt() != 0;
  found.created_at = time_in(row, 6);
  found.updated_at = time_in(row, 7);
  found.lock_hash = text_in(row, 8);
  found.tree_hash = text_in(row, 9);
  found.packages = row.getColumn(10).getInt64();
  found.size_bytes = row.getColumn(11).getInt64();
  return found;
}

EnvironmentRevision revision_in(const SQLite::Statement& row) {
  EnvironmentRevision found;
  found.number = row.getColumn(0).getInt64();
  found.lock_hash = text_in(row, 1);
  found.tree_hash = text_in(row, 2);
  found.packages = row.getColumn(3).getInt64();
  found.size_bytes = row.getColumn(4).getInt64();
  found.created_at = time_in(row, 5);
  found.created_by = text_in(row, 6);
  return found;
}

Error no_environment(const std::string& name) { return {ErrorKind::not_found, "there is no environment '" + stored_text(name, 64) + "'"}; }

struct Place {
  std::int64_t id = 0, revision = 0;
};
std::optional<Place> place_of(SQLite::Database& db, const std::string& user, const std::string& name) {
  SQLite::Statement row = query(db, "SELECT e.id, e.revision FROM environments e JOIN users u ON u.id = e.user_id WHERE u.name = ? AND e.name = ?", user, name);
  if (!row.executeStep()) return std::nullopt;
  return Place{row.getColumn(0).getInt64(), row.getColumn(1).getInt64()};
}

std::int64_t number_of(SQLite::Statement row) { return row.executeStep() ? row.getColumn(0).getInt64() : 0; }

Result<Place> make_environment(SQLite::Database& db, const std::string& user, const std::string& name, Timestamp now) {
  const std::int64_t owner = number_of(query(db, "SELECT id FROM users WHERE name = ?", user));
  if (owner == 0) return Error{ErrorKind::not_found, "there is no user '" + user + "'"};
  const std::int64_t count = number_of(query(db, "SELECT count(*) FROM environments WHERE user_id = ?", owner));
  if (count >= kMaxEnvironments) return Error{ErrorKind::conflict, "you have " + std::to_string(count) + " environments: remove one first"};
  run(db, "INSERT INTO environments (user_id, name, revision, is_default, created_at, updated_at) VALUES (?, ?, 0, ?, ?, ?)", owner, name,
      std::int64_t{count == 0 ? 1 : 0}, now, now);
  return Place{db.getLastInsertRowid(), 0};
}

}  // namespace

std::vector<Environment> Environments::list(SQLite::Database& reader, std::string_view user) const {
  const std::string sql = std::string(kColumns) + (user.empty() ? "WHERE ? = ''" : "WHERE u.name = ?") + " ORDER BY u.name, e.name";
  SQLite::Statement row = query(reader, sql.c_str(), user);
  std::vector<Environment> all;
  while (row.executeStep()) all.push_back(environment_in(row));
  return all;
}

std::optional<Environment> Environments::find(SQLite::Database& reader, std::string_view user, std::string_view name) const {
  const std::string sql = std::string(kColumns) + "WHERE u.name = ? AND e.name = ?";
  SQLite::Statement row = query(reader, sql.c_str(), user, name);
  if (!row.executeStep()) return std::nullopt;
  return environment_in(row);
}

std::vector<EnvironmentRevision> Environments::revisions(SQLite::Database& reader, std::int64_t environment) const {
  SQLite::Statement row = query(reader,
                                "SELECT number, lock_hash, tree_hash, packages, size_bytes, created_at, created_by FROM environment_revisions "
                                "WHERE environment_id = ? ORDER BY number DESC",
                                environment);
  std::vector<EnvironmentRevision> all;
  while (row.executeStep()) all.push_back(revision_in(row));
  return all;
}

std::optional<EnvironmentRevision> Environments::revision(SQLite::Database& reader, std::int64_t environment, std::int64_t number) const {
  SQLite::Statement row = query(reader,
                                "SELECT number, lock_hash, tree_hash, packages, size_bytes, created_at, created_by, yaml, lock FROM environment_revisions "
                                "WHERE environment_id = ? AND number = ?",
                                environment, number);
  if (!row.executeStep()) return std::nullopt;
  EnvironmentRevision found = revision_in(row);
  found.yaml = text_in(row, 7);
  found.lock = text_in(row, 8);
  return found;
}

std::vector<std::string> Environments::lock_hashes(SQLite::Database& reader, std::string_view user) const {
  SQLite::Statement row = query(reader,
                                "SELECT DISTINCT r.lock_hash FROM environment_revisions r JOIN environments e ON e.id = r.environment_id "
                                "JOIN users u ON u.id = e.user_id WHERE u.name = ?",
                                user);
  std::vector<std::string> all;
  while (row.executeStep()) all.push_back(text_in(row, 0));
  return all;
}

std::vector<std::string> Environments::owners(SQLite::Database& reader) const {
  SQLite::Statement row(reader, "SELECT DISTINCT u.name FROM environments e JOIN users u ON u.id = e.user_id");
  std::vector<std::string> all;
  while (row.executeStep()) all.push_back(text_in(row, 0));
  return all;
}

asio::awaitable<Result<void>> Environments::add_revision(Actor actor, std::string user, std::string name, EnvironmentRevision revision) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    auto place = place_of(db, user, name);
    if (!place) {
      const auto made = make_environment(db, user, name, now);
      if (made.has_error()) return made.error();
      place = *made;
    }
    const std::int64_t number = 1 + number_of(query(db, "SELECT max(number) FROM environment_revisions WHERE environment_id = ?", place->id));
    run(db,
        "INSERT INTO environment_revisions (environment_id, number, yaml, lock, lock_hash, tree_hash, packages, size_bytes, created_at, created_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        place->id, number, revision.yaml, revision.lock, revision.lock_hash, revision.tree_hash, revision.packages, revision.size_bytes, now, actor.name);
    run(db, "UPDATE environments SET revision = ?, updated_at = ? WHERE id = ?", number, now, place->id);
    run(db, "DELETE FROM environment_revisions WHERE environment_id = ? AND number <= ?", place->id, number - kRevisionsKept);
    append_audit(db, now, actor, number == 1 ? "environment.create" : "environment.update", user + "/" + name + "@" + std::to_string(number), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::make_current(Actor actor, std::string user, std::string name, std::int64_t number) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, user, name);
    if (!place) return no_environment(name);
    const std::int64_t before = number_of(query(db, "SELECT max(number) FROM environment_revisions WHERE environment_id = ? AND number < ?", place->id, place->revision));
    const std::int64_t wanted = number != 0 ? number : before;
    if (number_of(query(db, "SELECT number FROM environment_revisions WHERE environment_id = ? AND number = ?", place->id, wanted)) == 0) {
      return Error{ErrorKind::not_found, number != 0 ? name + " has no revision " + std::to_string(number) : name + " has no earlier revision"};
    }
    run(db, "UPDATE environments SET revision = ?, updated_at = ? WHERE id = ?", wanted, now, place->id);
    append_audit(db, now, actor, "environment.rollback", user + "/" + name + "@" + std::to_string(wanted), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::make_default(Actor actor, std::string user, std::string name, bool is_default) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, user, name);
    if (!place) return no_environment(name);
    if (is_default) run(db, "UPDATE environments SET is_default = 0 WHERE user_id = (SELECT user_id FROM environments WHERE id = ?)", place->id);
    run(db, "UPDATE environments SET is_default = ? WHERE id = ?", std::int64_t{is_default ? 1 : 0}, place->id);
    append_audit(db, now, actor, "environment.default", user + "/" + name + (is_default ? "" : " off"), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::remove(Actor actor, std::string user, std::string name) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, user, name);
    if (!place) return no_environment(name);
    run(db, "DELETE FROM environments WHERE id = ?", place->id);
    append_audit(db, now, actor, "environment.remove", user + "/" + name, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

}  // namespace berth::auth
