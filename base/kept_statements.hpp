// Prepared statements of one connection to the store, kept for their next use: to prepare one takes several times as long as to run it. What is kept
// are statements, never answers: each use sees what was committed before it. SQLite prepares them again by itself when the schema has changed.
#pragma once
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace berth {

// As long as this lives, what its thread asks of `database` is kept. One for a thread, which makes and ends it; must end before the connection does.
class KeptStatements {
 public:
  explicit KeptStatements(SQLite::Database& database);
  ~KeptStatements();
  KeptStatements(const KeptStatements&) = delete;
  KeptStatements& operator=(const KeptStatements&) = delete;

 private:
  friend class KeptStatement;
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Map = std::unordered_map<std::string, SQLite::Statement, Hash, std::equal_to<>>;  // by SQL

  SQLite::Database& database_;
  Map idle_;
};

// One that is in use, ready to be bound: reset when it ends, however that comes, so that it holds no read transaction open. Where the thread keeps no
// statements of `database` it is one like any other, and ends for good.
class KeptStatement {
 public:
  KeptStatement(SQLite::Database& database, std::string_view sql);
  ~KeptStatement();
  KeptStatement(const KeptStatement&) = delete;
  KeptStatement& operator=(const KeptStatement&) = delete;

  SQLite::Statement& operator*() { return node_.mapped(); }
  SQLite::Statement* operator->() { return &node_.mapped(); }

 private:
  KeptStatements* const home_;  // none: nobody keeps it
  KeptStatements::Map::node_type node_;
};

}  // namespace berth
