#include "auth/key_clock.hpp"

#include <algorithm>

#include "auth/audit.hpp"
#include "auth/campaigns.hpp"
#include "auth/rows.hpp"
#include "auth/store_change.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

constexpr char kMark[] = "keys";

const std::string& select_keys() {
  static const std::string kSql = std::string("SELECT ") + kKeyColumns + " FROM keys k JOIN users u ON u.id = k.user_id WHERE ";
  return kSql;
}

template <class... Values>
void append_keys(std::vector<Key>& into, SQLite::Database& database, const char* where, const Values&... values) {
  SQLite::Statement row = query(database, (select_keys() + where).c_str(), values...);
  while (row.executeStep()) into.push_back(key_in(row, 0));
}

// Every key that may have run out after `from` and up to `to`; some are named twice, some have not.
std::vector<Key> candidates(SQLite::Database& database, const KeyPolicy& site, Timestamp from, Timestamp to) {
  std::vector<Key> keys;
  append_keys(keys, database, "k.expires_at <> 0 AND k.revoked_at = 0 AND k.expires_at > ? AND k.expires_at <= ?", from, to);
  // Not those that were ended at once, by a rotation without grace or by the first use of their successor: that was audited then.
  append_keys(keys, database,
              "k.grace_ends_at <> 0 AND k.revoked_at = 0 AND k.grace_ends_at > ? AND k.grace_ends_at <= ? AND k.grace_ends_at > k.superseded_at AND NOT "
              "(k.retire_on_first_use = 1 AND EXISTS (SELECT 1 FROM keys s WHERE s.id = k.successor_id AND s.retires_older = 0))",
              from, to);
  if (site.max_age.count() > 0) append_keys(keys, database, "k.revoked_at = 0 AND k.added_at > ? AND k.added_at <= ?", from - site.max_age, to - site.max_age);
  append_keys(keys, database, "u.key_exceptions <> '' AND k.revoked_at = 0");
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.id < b.id; });
  keys.erase(std::unique(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.id == b.id; }), keys.end());
  return keys;
}

Timestamp earliest(Timestamp a, Timestamp b) {
  if (a == Timestamp{} || b == Timestamp{}) return std::max(a, b);
  return std::min(a, b);
}

Timestamp least(SQLite::Database& database, const char* sql, Timestamp after) {
  SQLite::Statement row = query(database, sql, after);
  return row.executeStep() ? time_in(row, 0) : Timestamp{};
}

Timestamp mark_of(SQLite::Database& database) {
  SQLite::Statement row = query(database, "SELECT at FROM clock_marks WHERE name = ?", kMark);
  return row.executeStep() ? time_in(row, 0) : Timestamp{};
}

}  // namespace

Timestamp KeyClock::next(SQLite::Database& reader) const {
  const Timestamp now = clock_.now();
  const KeyPolicy& site = directory_.policy();
  Timestamp next = campaign_deadline(reader);
  next = earliest(next, least(reader, "SELECT min(expires_at) FROM keys WHERE expires_at <> 0 AND revoked_at = 0 AND expires_at > ?", now));
  next = earliest(next, least(reader, "SELECT min(grace_ends_at) FROM keys WHERE grace_ends_at <> 0 AND revoked_at = 0 AND grace_ends_at > ?", now));
  if (site.max_age.count() > 0) {
    const Timestamp added = least(reader, "SELECT min(added_at) FROM keys WHERE revoked_at = 0 AND added_at > ?", now - site.max_age);
    if (added != Timestamp{}) next = earliest(next, added + site.max_age);
  }
  std::vector<Key> excepted;
  append_keys(excepted, reader, "u.key_exceptions <> '' AND k.revoked_at = 0");
  for (const Key& key : excepted) {
    if (const Timestamp end = decide(key, site, now).ends_at; end > now) next = earliest(next, end);
  }
  return next;
}

std::vector<Key> KeyClock::work(SQLite::Database& writer, Timestamp now) const {
  const Timestamp mark = mark_of(writer);
  const Actor berthd{"berthd", Role::admin, "clock", ""};
  std::vector<Key> ended;
  // Without a mark nothing was watched yet; with one ahead of the clock, the clock was set back.
  if (mark != Timestamp{} && mark < now) {
    for (Key& key : candidates(writer, directory_.policy(), mark, now)) {
      const KeyVerdict verdict = decide(key, directory_.policy(), now);
      // An exception that has ended leaves a key to the site's policy, under which it may have ended long ago.
      const bool by_exception = !verdict.allowed() && key.exceptions.until > mark && key.exceptions.until <= now;
      if (!by_exception && (verdict.state != KeyState::expired || verdict.ends_at <= mark)) continue;
      append_audit(writer, now, berthd, "key.expire", key.user + " " + key.fingerprint, words_of(verdict.refusal));
      ended.push_back(std::move(key));
    }
  }
  for (Key& key : take_campaign_action(writer, directory_, now)) ended.push_back(std::move(key));
  run(writer, "INSERT INTO clock_marks (name, at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = excluded.at", kMark, now);
  return ended;
}

asio::awaitable<Result<std::vector<Key>>> KeyClock::run_due() {
  std::function<Result<std::vector<Key>>(SQLite::Database&)> change = [this, now = clock_.now()](SQLite::Database& db) -> Result<std::vector<Key>> {
    return work(db, now);
  };
  auto ended = co_await write_answer<std::vector<Key>>(store_, std::move(change));
  co_return ended;
}

Result<void> KeyClock::run_due_now() {
  return store_.write_now([this, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    (void)work(db, now);
    return {};
  });
}

std::string words_for_ended(const Key& key, const KeyVerdict& verdict) {
  if (key.superseded_at != Timestamp{} && !key.successor.empty()) {
    return "The key that you came with was replaced by " + key.successor + " and works no more: log in with that one.";
  }
  return "You cannot go on with the key that you came with: " + std::string(words_of(verdict.refusal)) + ".";
}

}  // namespace berth::auth
