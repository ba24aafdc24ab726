#include "auth/directory.hpp"

#include <algorithm>

#include "auth/rows.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {

// Accounts of the system and names with a meaning of their own; a workspace runs as the user's name.
constexpr std::string_view kReserved[] = {"root", "daemon", "bin",  "sys",    "sync",   "games",    "man",        "lp",    "mail",         "news",
                                          "uucp", "proxy",  "www-data", "backup", "list",   "irc",      "gnats",      "nobody", "sshd",         "berth",
                                          "adm",  "tty",    "disk", "wheel",  "sudo",   "messagebus", "admin-socket", "operator", "postgres", "mysql"};

constexpr std::size_t kMostUsesRemembered = 10'000;
constexpr std::chrono::seconds kUseInterval{60};

}  // namespace

Result<void> check_user_name(std::string_view name) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool formed = !name.empty() && name.size() <= 32 && is_lower(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_lower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!formed) {
    return Error{ErrorKind::invalid,
                 "a user name begins with a small letter and has at most 32 small letters, digits, '_' and '-': '" + stored_text(name, 64) + "' does not fit"};
  }
  if (name.starts_with("systemd-") || std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    return Error{ErrorKind::invalid, "'" + std::string(name) + "' is the name of a system account: choose another"};
  }
  return {};
}

LoginDecision Directory::decide_login(SQLite::Database& reader, std::string_view user, std::string_view key_blob) const {
  const std::string fingerprint = fingerprint_of(key_blob);
  SQLite::Statement row = query(reader, kLoginSql, user, fingerprint);
  row.executeStep();
  LoginDecision decision;
  decision.user = user_in(row, 0);
  decision.key = key_in(row, 5);
  const bool user_exists = decision.user.id != 0 && decision.user.name == user;
  const bool key_matches = decision.key.user_id == decision.user.id && decision.key.fingerprint == fingerprint;
  std::string stored = decision.key.blob;
  stored.resize(key_blob.size());  // a missing key is compared too
  const bool same = equal_in_constant_time(stored, key_blob) && decision.key.blob.size() == key_blob.size();
  const KeyState state = decision.key.state_at(clock_.now());
  if (!user_exists) {
    decision.refusal = LoginRefusal::unknown_user;
  } else if (!key_matches || !same) {
    decision.refusal = LoginRefusal::unknown_key;
  } else if (state == KeyState::revoked) {
    decision.refusal = LoginRefusal::revoked_key;
  } else if (decision.user.disabled) {
    decision.refusal = LoginRefusal::disabled_user;
  } else if (state == KeyState::expired) {
    decision.refusal = LoginRefusal::expired_key;
  }
  if (!user_exists) decision.user = User{};
  if (!user_exists || !key_matches || !same) decision.key = Key{};  // never tell about somebody else's key
  return decision;
}

std::optional<User> Directory::find_user(SQLite::Database& reader, std::string_view name) const {
  static const std::string kSql = std::string("SELECT ") + kUserColumns + " FROM users u WHERE u.name = ?";
  SQLite::Statement row = query(reader, kSql.c_str(), name);
  if (!row.executeStep()) return std::nullopt;
  return user_in(row, 0);
}

std::vector<User> Directory::list_users(SQLite::Database& reader) const {
  static const std::string kSql = std::string("SELECT ") + kUserColumns + " FROM users u ORDER BY u.name";
  std::vector<User> users;
  SQLite::Statement row = query(reader, kSql.c_str());
  while (row.executeStep()) users.push_back(user_in(row, 0));
  return users;
}

std::vector<Key> Directory::list_keys(SQLite::Database& reader, std::string_view user) const {
  static const std::string kAll = std::string("SELECT ") + kKeyColumns + " FROM keys k JOIN users u ON u.id = k.user_id";
  static const std::string kOfUser = kAll + " WHERE u.name = ? ORDER BY k.id";
  static const std::string kSorted = kAll + " ORDER BY u.name, k.id";
  std::vector<Key> keys;
  SQLite::Statement row = user.empty() ? query(reader, kSorted.c_str()) : query(reader, kOfUser.c_str(), user);
  while (row.executeStep()) keys.push_back(key_in(row, 0));
  return keys;
}

std::optional<Key> Directory::find_key(SQLite::Database& reader, std::string_view fingerprint) const {
  static const std::string kSql = std::string("SELECT ") + kKeyColumns +
                                  " FROM keys k JOIN users u ON u.id = k.user_id WHERE k.fingerprint = ? "
                                  "ORDER BY k.revoked_at <> 0, k.revoked_at DESC LIMIT 1";
  SQLite::Statement row = query(reader, kSql.c_str(), fingerprint);
  if (!row.executeStep()) return std::nullopt;
  return key_in(row, 0);
}

DirectoryCounts Directory::counts(SQLite::Database& reader) const {
  SQLite::Statement row = query(reader, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM keys WHERE revoked_at = 0)");
  row.executeStep();
  return {row.getColumn(0).getInt64(), row.getColumn(1).getInt64()};
}

void Directory::note_key_use(std::int64_t key_id, std::string address) {
  address = stored_text(address, 64);
  const Timestamp now = clock_.now();
  {
    const std::lock_guard lock(uses_mutex_);
    if (uses_.size() >= kMostUsesRemembered) uses_.clear();  // forgetting costs a write, nothing else
    Timestamp& last = uses_[std::to_string(key_id) + " " + address.substr(0, address.rfind(':'))];
    if (last != Timestamp{} && now - last < kUseInterval) return;
    last = now;
  }
  store_.post("key use", [key_id, now, address = std::move(address)](SQLite::Database& db) -> Result<void> {
    run(db, "UPDATE keys SET last_used_at = ?, last_used_from = ? WHERE id = ?", now, address, key_id);
    return {};
  });
}

}  // namespace berth::auth
