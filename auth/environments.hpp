// Conda environments in the store: names, revisions, which of them is current, and whose they are: a user's own, or the team's, which
// maintainers change and everybody uses. Files and builds are the keeper's.
#pragma once
#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "auth/directory.hpp"
#include "base/store.hpp"

namespace berth::auth {

// Stands where the owner's name does; no user is called so (workspaces/names.cpp).
inline constexpr std::string_view kTeam = "team";

struct Verification {
  Timestamp at{};              // zero: never
  std::string result, detail;  // "ok", "changed" or "failed" (it could not be built); what has changed, or why
};

struct Environment {
  std::int64_t id = 0;
  std::string user, name;      // user: the owner, or kTeam
  std::int64_t revision = 0;   // the current one
  std::int64_t revisions = 0;  // how many there are
  bool is_default = false;     // of the user that the list was asked for; else of its owner
  Timestamp created_at{}, updated_at{};
  std::string lock_hash, tree_hash;  // of the current revision; tree_hash is empty where it has not been built yet
  std::int64_t packages = 0, size_bytes = 0;
  std::vector<std::string> maintainers;  // of the team's, by name
  Verification verification;             // of the current revision
  bool is_team() const { return user == kTeam; }
};

struct EnvironmentRevision {
  std::int64_t number = 0;
  std::string yaml, lock;  // only where one revision is asked for
  std::string lock_hash, tree_hash;
  std::int64_t packages = 0, size_bytes = 0;
  Timestamp created_at{};
  std::string created_by;
  Verification verification;
};

inline constexpr std::int64_t kMaxEnvironments = 100, kRevisionsKept = 20;  // of one owner; of one environment

// What a caller may do with an environment; the one place where that is decided. `see` includes using it.
struct EnvironmentRights {
  bool see = false, change = false;
};
struct EnvironmentCaller {
  std::string name;
  bool is_admin = false, reads_all = false;
  bool may_share = false;  // by the site's settings (environments.sharing)
};
// `found`: the environment, or null where it does not exist yet: then `change` means making it.
EnvironmentRights environment_rights(std::string_view owner, const Environment* found, const EnvironmentCaller& caller);

// Environments whose last verification did not end well, of those that the user may change: "ml", "team/tool".
struct FailedVerification {
  std::string name;
  Verification verification;
};
std::vector<FailedVerification> failed_verifications(SQLite::Database& reader, std::string_view user);

class Environments {
 public:
  Environments(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Of one user with the team's, of the team alone (kTeam), or of all (empty).
  std::vector<Environment> list(SQLite::Database& reader, std::string_view user) const;
  // How many there are by what their current revision's verification came to ("": not verified yet).
  std::map<std::string, std::int64_t> count_by_verification(SQLite::Database& reader) const;
  // `viewer`: whose default is meant; empty: the owner's.
  std::optional<Environment> find(SQLite::Database& reader, std::string_view owner, std::string_view name, std::string_view viewer = {}) const;
  std::vector<EnvironmentRevision> revisions(SQLite::Database& reader, std::int64_t environment) const;  // newest first
  std::optional<EnvironmentRevision> revision(SQLite::Database& reader, std::int64_t environment, std::int64_t number) const;
  // The lock hashes of all revisions of an owner.
  std::vector<std::string> lock_hashes(SQLite::Database& reader, std::string_view owner) const;
  std::vector<std::string> owners(SQLite::Database& reader) const;
  // Users who have a default, or an environment of their own.
  std::vector<std::string> users(SQLite::Database& reader) const;
  // Users whose shells begin in this one.
  std::vector<std::string> default_users(SQLite::Database& reader, std::int64_t environment) const;
  // The one whose current revision was made and looked at last before `limit`, the longest ago first.
  std::optional<Environment> due(SQLite::Database& reader, Timestamp limit) const;

  // Each is one transaction with its audit row. The next revision becomes current; the environment is made when it is new: the actor is
  // then the maintainer of the team's, and a user's first is their default. Error{denied} where the team's is another's by now. The
  // oldest revisions over kRevisionsKept are forgotten.
  boost::asio::awaitable<Result<void>> add_revision(Actor actor, std::string owner, std::string name, EnvironmentRevision revision);
  // Error{not_found} when there is no such revision; 0 is the one before the current one.
  boost::asio::awaitable<Result<void>> make_current(Actor actor, std::string owner, std::string name, std::int64_t number);
  boost::asio::awaitable<Result<void>> make_default(Actor actor, std::string user, std::string owner, std::string name, bool is_default);
  boost::asio::awaitable<Result<void>> remove(Actor actor, std::string owner, std::string name);
  // A user's environment becomes the team's with its history, and they its maintainer. `built`: its current revision where the team's lie.
  boost::asio::awaitable<Result<void>> share(Actor actor, std::string user, std::string name, EnvironmentRevision built);
  // Of the team's. The last maintainer is taken away by an admin only.
  boost::asio::awaitable<Result<void>> set_maintainer(Actor actor, std::string name, std::string user, bool is_maintainer);
  boost::asio::awaitable<Result<void>> set_verified(Actor actor, std::string owner, std::string name, std::int64_t number, Verification verification);
  // What a revision came out as that had not been built where it lies now.
  boost::asio::awaitable<Result<void>> set_built(std::string owner, std::string name, std::int64_t number, EnvironmentRevision built);

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace berth::auth
