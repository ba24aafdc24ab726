// What changes environments in the store.
#include "auth/audit.hpp"
#include "auth/environments.hpp"
#include "auth/rows.hpp"

namespace berth::auth {
namespace asio = boost::asio;
namespace {

Error no_environment(const std::string& name) { return {ErrorKind::not_found, "there is no environment '" + stored_text(name, 64) + "'"}; }

struct Place {
  std::int64_t id = 0, revision = 0;
};
std::optional<Place> place_of(SQLite::Database& db, const std::string& owner, const std::string& name) {
  SQLite::Statement row = query(
      db, "SELECT e.id, e.revision FROM environments e LEFT JOIN users u ON u.id = e.user_id WHERE coalesce(u.name, 'team') = ? AND e.name = ?", owner, name);
  if (!row.executeStep()) return std::nullopt;
  return Place{row.getColumn(0).getInt64(), row.getColumn(1).getInt64()};
}

std::int64_t number_of(SQLite::Statement row) { return row.executeStep() ? row.getColumn(0).getInt64() : 0; }
std::int64_t user_id(SQLite::Database& db, const std::string& name) { return number_of(query(db, "SELECT id FROM users WHERE name = ?", name)); }
Error no_user(const std::string& name) { return {ErrorKind::not_found, "there is no user '" + stored_text(name, 64) + "'"}; }

bool maintains(SQLite::Database& db, std::int64_t environment, const std::string& user) {
  return number_of(query(db, "SELECT count(*) FROM environment_maintainers m JOIN users u ON u.id = m.user_id WHERE m.environment_id = ? AND u.name = ?",
                         environment, user)) > 0;
}

// Among the team's; of their own a user who has none yet has no default either.
bool has_default(SQLite::Database& db, std::int64_t user) {
  return number_of(query(db, "SELECT count(*) FROM environment_team_defaults WHERE user_id = ?", user)) > 0;
}

void set_default(SQLite::Database& db, std::int64_t user, std::int64_t environment, bool team, bool is_default) {
  const std::int64_t which = is_default ? 0 : environment;  // 0: any
  run(db, "UPDATE environments SET is_default = 0 WHERE user_id = ? AND ? IN (0, id)", user, which);
  run(db, "DELETE FROM environment_team_defaults WHERE user_id = ? AND ? IN (0, environment_id)", user, which);
  if (!is_default) return;
  if (team) run(db, "INSERT INTO environment_team_defaults (user_id, environment_id) VALUES (?, ?)", user, environment);
  else run(db, "UPDATE environments SET is_default = 1 WHERE id = ?", environment);
}

Result<Place> make_environment(SQLite::Database& db, const Actor& actor, const std::string& owner, const std::string& name, Timestamp now) {
  const bool team = owner == kTeam;
  const std::int64_t id = user_id(db, team ? actor.name : owner);
  if (id == 0) return no_user(team ? actor.name : owner);
  const std::int64_t count = number_of(query(db, "SELECT count(*) FROM environments WHERE coalesce(user_id, 0) = ?", team ? std::int64_t{0} : id));
  if (count >= kMaxEnvironments) {
    return Error{ErrorKind::conflict, std::string(team ? "the team has " : "you have ") + std::to_string(count) + " environments: remove one first"};
  }
  run(db, "INSERT INTO environments (user_id, name, revision, is_default, created_at, updated_at) VALUES (nullif(?, 0), ?, 0, ?, ?, ?)", team ? std::int64_t{0} : id, name,
      std::int64_t{!team && count == 0 && !has_default(db, id) ? 1 : 0}, now, now);
  const Place place{db.getLastInsertRowid(), 0};
  if (team) run(db, "INSERT INTO environment_maintainers (environment_id, user_id) VALUES (?, ?)", place.id, id);
  return place;
}

std::string object_of(const std::string& owner, const std::string& name, std::int64_t number) { return owner + "/" + name + "@" + std::to_string(number); }

}  // namespace

asio::awaitable<Result<void>> Environments::add_revision(Actor actor, std::string owner, std::string name, EnvironmentRevision revision) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    auto place = place_of(db, owner, name);
    if (place && owner == kTeam && actor.role != Role::admin && !maintains(db, place->id, actor.name)) {
      return Error{ErrorKind::denied, "the team has got an environment '" + name + "' meanwhile; its maintainers may change it"};
    }
    if (!place) {
      const auto made = make_environment(db, actor, owner, name, now);
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
    append_audit(db, now, actor, number == 1 ? "environment.create" : "environment.update", object_of(owner, name, number), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::make_current(Actor actor, std::string owner, std::string name, std::int64_t number) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, owner, name);
    if (!place) return no_environment(name);
    const std::int64_t before = number_of(query(db, "SELECT max(number) FROM environment_revisions WHERE environment_id = ? AND number < ?", place->id, place->revision));
    const std::int64_t wanted = number != 0 ? number : before;
    if (number_of(query(db, "SELECT number FROM environment_revisions WHERE environment_id = ? AND number = ?", place->id, wanted)) == 0) {
      return Error{ErrorKind::not_found, number != 0 ? name + " has no revision " + std::to_string(number) : name + " has no earlier revision"};
    }
    run(db, "UPDATE environments SET revision = ?, updated_at = ? WHERE id = ?", wanted, now, place->id);
    append_audit(db, now, actor, "environment.rollback", object_of(owner, name, wanted), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::make_default(Actor actor, std::string user, std::string owner, std::string name, bool is_default) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, owner, name);
    if (!place) return no_environment(name);
    const std::int64_t id = user_id(db, user);
    if (id == 0) return no_user(user);
    set_default(db, id, place->id, owner == kTeam, is_default);
    append_audit(db, now, actor, "environment.default", user + " " + owner + "/" + name + (is_default ? "" : " off"), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::remove(Actor actor, std::string owner, std::string name) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, owner, name);
    if (!place) return no_environment(name);
    run(db, "DELETE FROM environments WHERE id = ?", place->id);
    append_audit(db, now, actor, "environment.remove", owner + "/" + name, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::share(Actor actor, std::string user, std::string name, EnvironmentRevision built) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, user, name);
    if (!place || place->revision != built.number) return Error{ErrorKind::conflict, "the environment has changed meanwhile; share it again"};
    if (place_of(db, std::string(kTeam), name)) return Error{ErrorKind::conflict, "the team has an environment '" + name + "' already"};
    run(db, "INSERT OR IGNORE INTO environment_maintainers (environment_id, user_id) SELECT id, user_id FROM environments WHERE id = ?", place->id);
    run(db, "INSERT OR REPLACE INTO environment_team_defaults (user_id, environment_id) SELECT user_id, id FROM environments WHERE id = ? AND is_default = 1", place->id);
    run(db, "UPDATE environments SET user_id = NULL, is_default = 0, updated_at = ? WHERE id = ?", now, place->id);
    // Where the team's lie files are others, for their path is in them: what was not built there yet is unknown.
    run(db, "UPDATE environment_revisions SET tree_hash = '', verified_at = 0, verified = '', verify_detail = '' WHERE environment_id = ?", place->id);
    run(db, "UPDATE environment_revisions SET tree_hash = ?, size_bytes = ? WHERE environment_id = ? AND number = ?", built.tree_hash, built.size_bytes, place->id, built.number);
    append_audit(db, now, actor, "environment.share", object_of(user, name, built.number), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::set_maintainer(Actor actor, std::string name, std::string user, bool is_maintainer) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, std::string(kTeam), name);
    if (!place) return no_environment(name);
    const std::int64_t id = user_id(db, user);
    if (id == 0) return no_user(user);
    if (is_maintainer) {
      run(db, "INSERT OR IGNORE INTO environment_maintainers (environment_id, user_id) VALUES (?, ?)", place->id, id);
    } else {
      const std::int64_t others = number_of(query(db, "SELECT count(*) FROM environment_maintainers WHERE environment_id = ? AND user_id <> ?", place->id, id));
      if (others == 0 && actor.role != Role::admin) return Error{ErrorKind::conflict, "an environment of the team needs a maintainer: add another one first"};
      run(db, "DELETE FROM environment_maintainers WHERE environment_id = ? AND user_id = ?", place->id, id);
    }
    append_audit(db, now, actor, "environment.maintainer", user + " " + std::string(kTeam) + "/" + name + (is_maintainer ? "" : " off"), "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::set_verified(Actor actor, std::string owner, std::string name, std::int64_t number, Verification verification) {
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, owner, name);
    if (!place) return no_environment(name);
    run(db, "UPDATE environment_revisions SET verified_at = ?, verified = ?, verify_detail = ? WHERE environment_id = ? AND number = ?", now, verification.result,
        stored_text(verification.detail, 2000), place->id, number);
    append_audit(db, now, actor, "environment.verify", object_of(owner, name, number), verification.result);
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<void>> Environments::set_built(std::string owner, std::string name, std::int64_t number, EnvironmentRevision built) {
  auto change = [=](SQLite::Database& db) -> Result<void> {
    const auto place = place_of(db, owner, name);
    if (!place) return no_environment(name);
    run(db, "UPDATE environment_revisions SET tree_hash = ?, size_bytes = ? WHERE environment_id = ? AND number = ? AND tree_hash = ''", built.tree_hash,
        built.size_bytes, place->id, number);
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

}  // namespace berth::auth
