// Users' conda environments in the store: names, revisions, and which of them is current. Files and builds are the keeper's.
#pragma once
#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <vector>

#include "auth/directory.hpp"
#include "base/store.hpp"

namespace berth::auth {

struct Environment {
  std::int64_t id = 0;
  std::string user, name;
  std::int64_t revision = 0;   // the current one
  std::int64_t revisions = 0;  // how many there are
  bool is_default = false;
  Timestamp created_at{}, updated_at{};
  std::string lock_hash, tree_hash;  // of the current revision
  std::int64_t packages = 0, size_bytes = 0;
};

struct EnvironmentRevision {
  std::int64_t number = 0;
  std::string yaml, lock;  // only where one revision is asked for
  std::string lock_hash, tree_hash;
  std::int64_t packages = 0, size_bytes = 0;
  Timestamp created_at{};
  std::string created_by;
};

inline constexpr std::int64_t kMaxEnvironments = 100, kRevisionsKept = 20;  // of one user; of one environment

class Environments {
 public:
  Environments(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Of one user, or of all (empty).
  std::vector<Environment> list(SQLite::Database& reader, std::string_view user) const;
  std::optional<Environment> find(SQLite::Database& reader, std::string_view user, std::string_view name) const;
  std::vector<EnvironmentRevision> revisions(SQLite::Database& reader, std::int64_t environment) const;  // newest first
  std::optional<EnvironmentRevision> revision(SQLite::Database& reader, std::int64_t environment, std::int64_t number) const;
  // The lock hashes of all revisions of a user.
  std::vector<std::string> lock_hashes(SQLite::Database& reader, std::string_view user) const;
  std::vector<std::string> owners(SQLite::Database& reader) const;

  // Each is one transaction with its audit row. The next revision becomes current; the environment is made when it is new, and is the
  // default when it is the user's first. The oldest revisions over kRevisionsKept are forgotten.
  boost::asio::awaitable<Result<void>> add_revision(Actor actor, std::string user, std::string name, EnvironmentRevision revision);
  // Error{not_found} when there is no such revision; 0 is the one before the current one.
  boost::asio::awaitable<Result<void>> make_current(Actor actor, std::string user, std::string name, std::int64_t number);
  boost::asio::awaitable<Result<void>> make_default(Actor actor, std::string user, std::string name, bool is_default);
  boost::asio::awaitable<Result<void>> remove(Actor actor, std::string user, std::string name);

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace berth::auth
