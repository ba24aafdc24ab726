// Between values and SQLite rows. Used by auth/*.cpp only.
#pragma once
#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <string_view>

#include "auth/model.hpp"
#include "base/kept_statements.hpp"

namespace berth::auth {

// Binds as a BLOB; a plain string binds as TEXT.
struct Blob {
  std::string_view bytes;
};

inline void bind_one(SQLite::Statement& statement, int index, std::int64_t value) { statement.bind(index, value); }
inline void bind_one(SQLite::Statement& statement, int index, std::string_view value) { statement.bind(index, std::string(value)); }
inline void bind_one(SQLite::Statement& statement, int index, Blob value) {
  statement.bind(index, static_cast<const void*>(value.bytes.data()), static_cast<int>(value.bytes.size()));
}
inline void bind_one(SQLite::Statement& statement, int index, Timestamp value) { statement.bind(index, std::int64_t{value.time_since_epoch().count()}); }

template <class... Values>
void bind_all(SQLite::Statement& statement, const Values&... values) {
  int index = 0;
  (bind_one(statement, ++index, values), ...);
}

template <class... Values>
SQLite::Statement query(SQLite::Database& database, const char* sql, const Values&... values) {
  SQLite::Statement statement(database, sql);
  bind_all(statement, values...);
  return statement;
}

// Answers how many rows changed.
template <class... Values>
int run(SQLite::Database& database, const char* sql, const Values&... values) {
  KeptStatement statement(database, sql);
  bind_all(*statement, values...);
  return statement->exec();
}

inline Timestamp time_in(const SQLite::Statement& row, int column) {
  return Timestamp(std::chrono::microseconds(row.getColumn(column).getInt64()));
}
inline std::string text_in(const SQLite::Statement& row, int column) { return row.getColumn(column).getString(); }

// What strangers sent, fit to be stored and shown: one line of at most `most` bytes of UTF-8.
std::string stored_text(std::string_view text, std::size_t most);

// The columns that user_in() reads, of table alias u; the same for keys (alias k, user name from u).
#define BERTH_USER_COLUMNS "u.id, u.name, u.role, u.disabled, u.created_at, u.key_exceptions, u.forwards"
#define BERTH_KEY_COLUMNS                                                                                                                  \
  "k.id, k.user_id, u.name, k.type, k.blob, k.fingerprint, k.comment, k.added_at, k.expires_at, k.revoked_at, k.last_used_at, "            \
  "k.last_used_from, k.superseded_at, k.grace_ends_at, k.successor_id, (SELECT s.fingerprint FROM keys s WHERE s.id = k.successor_id), "   \
  "k.retire_on_first_use, k.retires_older, u.key_exceptions, k.options"
inline constexpr char kUserColumns[] = BERTH_USER_COLUMNS;
inline constexpr char kKeyColumns[] = BERTH_KEY_COLUMNS;
inline constexpr int kUserColumnCount = 7, kKeyColumnCount = 20;
User user_in(const SQLite::Statement& row, int first_column);
Key key_in(const SQLite::Statement& row, int first_column);
std::optional<Role> parse_role(std::string_view name);

// One statement whoever asks. A user or key that is missing is replaced by the first of all, so that the same rows are read and no path is
// shorter; decide_login compares name and key itself.
inline constexpr char kLoginSql[] =
    "SELECT " BERTH_USER_COLUMNS ", " BERTH_KEY_COLUMNS
    " FROM (SELECT 1) "
    "LEFT JOIN users u ON u.id = coalesce((SELECT id FROM users WHERE name = ?1), (SELECT min(id) FROM users)) "
    "LEFT JOIN keys k ON k.id = coalesce((SELECT id FROM keys WHERE fingerprint = ?2 ORDER BY revoked_at <> 0, revoked_at DESC LIMIT 1), "
    "(SELECT min(id) FROM keys))";

}  // namespace berth::auth
