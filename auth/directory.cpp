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

constexpr std::size_t kMostKeysLookedAt = 20'000;  // for one page
constexpr std::size_t kMostUsesRemembered = 10'000;
constexpr std::chrono::seconds kUseInterval{60};
constexpr std::int64_t kDaysOfUse = 30, kMostSourcesOfDay = 64;

std::int64_t day_of(Timestamp time) { return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count(); }

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

std::string_view LoginDecision::why() const {
  switch (refusal) {
    case LoginRefusal::none: return "ok";
    case LoginRefusal::unknown_user: return "unknown user";
    case LoginRefusal::unknown_key: return "unknown key";
    case LoginRefusal::disabled_user: return "user is disabled";
    case LoginRefusal::expired_key:
    case LoginRefusal::revoked_key:
    case LoginRefusal::policy: return words_of(verdict.refusal);
  }
  return "refused";
}

LoginDecision Directory::decide_login(SQLite::Database& reader, std::string_view user, std::string_view key_blob) const {
  const std::string fingerprint = fingerprint_of(key_blob);
  KeptStatement row(reader, kLoginSql);
  bind_all(*row, user, fingerprint);
  row->executeStep();
  LoginDecision decision;
  decision.user = user_in(*row, 0);
  decision.key = key_in(*row, kUserColumnCount);
  const bool user_exists = decision.user.id != 0 && decision.user.name == user;
  const bool key_matches = decision.key.user_id == decision.user.id && decision.key.fingerprint == fingerprint;
  std::string stored = decision.key.blob;
  stored.resize(key_blob.size());  // a missing key is compared too
  const bool same = equal_in_constant_time(stored, key_blob) && decision.key.blob.size() == key_blob.size();
  decision.verdict = judge(decision.key);
  const KeyState state = decision.verdict.state;
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
  } else if (!decision.verdict.allowed()) {
    decision.refusal = LoginRefusal::policy;
  }
  if (!user_exists) decision.user = User{};
  if (!user_exists || !key_matches || !same) decision.key = Key{};  // never tell about somebody else's key
  return decision;
}

std::optional<User> Directory::find_user(SQLite::Database& reader, std::string_view name) const {
  KeptStatement row(reader, "SELECT " BERTH_USER_COLUMNS " FROM users u WHERE u.name = ?");
  bind_all(*row, name);
  if (!row->executeStep()) return std::nullopt;
  return user_in(*row, 0);
}

UserPage Directory::list_users(SQLite::Database& reader, const UserQuery& wish) const {
  static const std::string kSql = std::string("SELECT ") + kUserColumns +
                                  ", (SELECT count(*) FROM keys k WHERE k.user_id = u.id) FROM users u "
                                  "WHERE u.name > ?1 AND (?2 = '' OR instr(u.name, ?2) > 0) AND (?3 = 0 OR u.key_exceptions <> '') ORDER BY u.name LIMIT ?4";
  UserPage page;
  SQLite::Statement row = query(reader, kSql.c_str(), wish.after, wish.q, std::int64_t{wish.with_exceptions}, static_cast<std::int64_t>(wish.limit) + 1);
  while (row.executeStep()) {
    if (page.rows.size() == wish.limit) {
      page.next = page.rows.back().user.name;
      break;
    }
    page.rows.push_back({user_in(row, 0), row.getColumn(kUserColumnCount).getInt64()});
  }
  return page;
}

std::vector<Key> Directory::list_keys(SQLite::Database& reader, std::string_view user) const {
  static const std::string kSql = std::string("SELECT ") + kKeyColumns + " FROM keys k JOIN users u ON u.id = k.user_id WHERE u.name = ? ORDER BY k.id";
  std::vector<Key> keys;
  SQLite::Statement row = query(reader, kSql.c_str(), user);
  while (row.executeStep()) keys.push_back(key_in(row, 0));
  return keys;
}

KeyPage Directory::find_keys(SQLite::Database& reader, const KeyQuery& wish) const {
  static const std::string kSql = std::string("SELECT ") + kKeyColumns +
                                  " FROM keys k JOIN users u ON u.id = k.user_id WHERE k.id > ?1 AND "
                                  "(?2 = '' OR instr(u.name, ?2) > 0 OR instr(k.comment, ?2) > 0 OR instr(k.fingerprint, ?2) > 0) ORDER BY k.id LIMIT ?3";
  KeyPage page;
  SQLite::Statement row = query(reader, kSql.c_str(), wish.after, wish.q, static_cast<std::int64_t>(kMostKeysLookedAt));
  std::size_t seen = 0;
  std::int64_t last = 0;
  while (row.executeStep()) {
    if (page.rows.size() == wish.limit) {
      page.next = last;
      return page;
    }
    Key key = key_in(row, 0);
    last = key.id;
    ++seen;
    if (!wish.state || judge(key).state == *wish.state) page.rows.push_back(std::move(key));
  }
  if (seen == kMostKeysLookedAt) page.next = last;  // a page may be short: what matches comes later
  return page;
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
  const std::string host = address.substr(0, address.rfind(':'));
  const Timestamp now = clock_.now();
  bool remember = true;
  {
    const std::lock_guard lock(uses_mutex_);
    if (uses_.size() >= kMostUsesRemembered) uses_.clear();  // forgetting costs a write, nothing else
    Timestamp& last = uses_[std::to_string(key_id) + " " + host];
    remember = last == Timestamp{} || now - last >= kUseInterval || now < last;
    if (remember) last = now;
  }
  store_.post("key use", [key_id, now, remember, host, address = std::move(address)](SQLite::Database& db) -> Result<void> {
    if (remember) run(db, "UPDATE keys SET last_used_at = ?, last_used_from = ? WHERE id = ?", now, address, key_id);
    const std::int64_t day = day_of(now);
    run(db,
        "INSERT INTO key_uses (key_id, day, address, uses, last_at) SELECT ?1, ?2, CASE WHEN "
        "EXISTS (SELECT 1 FROM key_uses WHERE key_id = ?1 AND day = ?2 AND address = ?3) OR "
        "(SELECT count(*) FROM key_uses WHERE key_id = ?1 AND day = ?2) < ?5 THEN ?3 ELSE 'others' END, 1, ?4 "
        "WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?1) "  // its user may have been removed meanwhile
        "ON CONFLICT DO UPDATE SET uses = uses + 1, last_at = excluded.last_at",
        key_id, day, host, now, kMostSourcesOfDay);
    run(db, "DELETE FROM key_uses WHERE key_id = ? AND day <= ?", key_id, day - kDaysOfUse);
    return {};
  });
}

KeyUses Directory::uses_of(SQLite::Database& reader, std::int64_t key_id) const {
  KeyUses uses;
  SQLite::Statement row = query(reader, "SELECT address, sum(uses), max(last_at) AS last FROM key_uses WHERE key_id = ? AND day > ? GROUP BY address ORDER BY last DESC",
                                key_id, day_of(clock_.now()) - kDaysOfUse);
  while (row.executeStep()) {
    uses.sources.push_back({text_in(row, 0), row.getColumn(1).getInt64(), time_in(row, 2)});
    uses.uses += uses.sources.back().uses;
  }
  return uses;
}

}  // namespace berth::auth
