// Prepared statements of one connection to the store, kept for their next use: to prepare one takes several times as long as to run it. SQLite prepares
// them again by itself when the schema has changed. Of one thread at a time; must end before the connection does.
#pragma once
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace berth {

class KeptStatements {
 public:
  explicit KeptStatements(SQLite::Database& database);
  ~KeptStatements();
  KeptStatements(const KeptStatements&) = delete;
  KeptStatements& operator=(const KeptStatements&) = delete;
  // From now on a KeptStatement that is asked for on this thread by the connection alone is one of these. They must end on this thread.
  void serve_this_thread();

 private:
  friend class KeptStatement;
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Map = std::unordered_map<std::string, SQLite::Statement, Hash, std::equal_to<>>;  // by SQL

  SQLite::Database& database_;
  Map idle_;
};

// One that is in use, ready to be bound: reset when it ends, however that comes, so that it holds no read transaction open.
class KeptStatement {
 public:
  KeptStatement(KeptStatements& kept, std::string_view sql);
  KeptStatement(SQLite::Database& database, std::string_view sql);  // kept only if this thread keeps statements of `database`
  ~KeptStatement();
  KeptStatement(const KeptStatement&) = delete;
  KeptStatement& operator=(const KeptStatement&) = delete;

  SQLite::Statement& operator*() { return node_.mapped(); }
  SQLite::Statement* operator->() { return &node_.mapped(); }

 private:
  void take(SQLite::Database& database, std::string_view sql);

  KeptStatements* const home_;  // none: nobody keeps it
  KeptStatements::Map::node_type node_;
};

}  // namespace berth
