#include "auth/audit.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "auth/rows.hpp"
#include "auth/store_change.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMostField = 512;
constexpr std::int64_t kCutAtOnce = 10'000;
constexpr std::string_view kCutAction = "audit.cut";
constexpr char kColumns[] = "number, at, actor, source, key_fingerprint, action, object, outcome, hash";

// Length-prefixed, so that no two different rows have the same bytes.
void append_field(std::string& bytes, std::string_view field) { bytes.append(std::to_string(field.size())).append(":").append(field); }

std::string hash_of(const AuditRow& row, std::string_view previous) {
  std::string bytes = "berth-audit-1";
  const std::string number = std::to_string(row.number), at = std::to_string(row.at.time_since_epoch().count());
  for (const std::string_view field : {previous, std::string_view(number), std::string_view(at), std::string_view(row.actor), std::string_view(row.source),
                                       std::string_view(row.key_fingerprint), std::string_view(row.action), std::string_view(row.object),
                                       std::string_view(row.outcome)}) {
    append_field(bytes, field);
  }
  return hex_encode(sha256(bytes));
}

AuditRow row_in(const SQLite::Statement& row) {
  AuditRow audit;
  audit.number = row.getColumn(0).getInt64();
  audit.at = time_in(row, 1);
  std::string* const texts[] = {&audit.actor, &audit.source, &audit.key_fingerprint, &audit.action, &audit.object, &audit.outcome, &audit.hash};
  int column = 2;
  for (std::string* text : texts) *text = text_in(row, column++);
  return audit;
}

// ?1 user, ?2 action, ?3 since, ?4 until. An object begins with whom it is about: "ada", "ada SHA256:…", "ada+nlp".
constexpr char kMatches[] =
    "(?1 = '' OR actor = ?1 OR object = ?1 OR substr(object, 1, length(?1) + 1) IN (?1 || ' ', ?1 || '+')) AND "
    "(?2 = '' OR action = ?2 OR substr(action, 1, length(?2) + 1) = ?2 || '.') AND (?3 = 0 OR at >= ?3) AND (?4 = 0 OR at < ?4)";

// The last row that retention has cut off.
struct Cut {
  std::int64_t number = 0;
  std::string hash;
};
Cut last_cut(SQLite::Database& database) {
  SQLite::Statement row = query(database, "SELECT number, hash FROM audit_cuts ORDER BY number DESC LIMIT 1");
  return row.executeStep() ? Cut{row.getColumn(0).getInt64(), text_in(row, 1)} : Cut{};
}
std::string cut_object(const Cut& cut) { return "rows to " + std::to_string(cut.number) + " hash " + cut.hash; }

// The highest number ever given; SQLite keeps it for AUTOINCREMENT.
std::int64_t last_number(SQLite::Database& database) {
  KeptStatement row(database, "SELECT seq FROM sqlite_sequence WHERE name = 'audit'");
  return row->executeStep() ? row->getColumn(0).getInt64() : 0;
}

}  // namespace

void append_audit(SQLite::Database& writer, Timestamp at, const Actor& actor, std::string_view action, std::string_view object, std::string_view outcome) {
  std::string previous;
  {
    KeptStatement last(writer, "SELECT hash FROM audit ORDER BY number DESC LIMIT 1");
    if (last->executeStep()) previous = text_in(*last, 0);
  }
  AuditRow row;
  row.number = last_number(writer) + 1;
  row.at = at;
  row.actor = stored_text(actor.name.empty() ? "-" : actor.name, kMostField);
  row.source = stored_text(actor.source, kMostField);
  row.key_fingerprint = stored_text(actor.certificate.empty() ? actor.key_fingerprint : actor.key_fingerprint + " " + actor.certificate, kMostField);
  row.action = stored_text(action, kMostField);
  row.object = stored_text(object, kMostField);
  row.outcome = stored_text(outcome, kMostField);
  row.hash = hash_of(row, previous);
  run(writer, "INSERT INTO audit (number, at, actor, source, key_fingerprint, action, object, outcome, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row.number,
      row.at, row.actor, row.source, row.key_fingerprint, row.action, row.object, row.outcome, row.hash);
}

void Audit::note(Actor actor, std::string action, std::string object, std::string outcome) {
  store_.post("audit", [now = clock_.now(), actor = std::move(actor), action = std::move(action), object = std::move(object),
                        outcome = std::move(outcome)](SQLite::Database& db) -> Result<void> {
    append_audit(db, now, actor, action, object, outcome);
    return {};
  });
}

void Audit::note_refusal(Actor actor, std::string action, std::string object, std::string outcome) {
  std::size_t left_out = 0;
  {
    const Timestamp now = clock_.now();
    const std::lock_guard lock(mutex_);
    if (now - refusals_since_ >= std::chrono::minutes(1)) {
      refusals_since_ = now;
      refusals_ = 0;
      left_out = std::exchange(left_out_, 0);
    }
    if (refusals_ >= kMostRefusals) {
      ++left_out_;
      return;
    }
    ++refusals_;
  }
  if (left_out > 0) note({"berthd", Role::admin, "-", {}}, "refusals", std::to_string(left_out) + " more", "not listed: too many in a minute");
  note(std::move(actor), std::move(action), std::move(object), std::move(outcome));
}

std::vector<AuditRow> Audit::tail(SQLite::Database& reader, std::size_t limit, const AuditFilter& filter) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM audit WHERE " + kMatches + " ORDER BY number DESC LIMIT ?5";
  std::vector<AuditRow> rows;
  SQLite::Statement row = query(reader, kSql.c_str(), filter.user, filter.action, filter.since, filter.until,
                                static_cast<std::int64_t>(std::min<std::size_t>(limit, INT32_MAX)));
  while (row.executeStep()) rows.push_back(row_in(row));
  std::reverse(rows.begin(), rows.end());
  return rows;
}

std::vector<AuditRow> Audit::after(SQLite::Database& reader, std::int64_t number, std::size_t limit, const AuditFilter& filter, std::int64_t& looked_at) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM audit WHERE " + kMatches + " AND number > ?5 ORDER BY number LIMIT ?6";
  const SQLite::Transaction one_moment(reader);
  const std::int64_t newest = head(reader);
  std::vector<AuditRow> rows;
  SQLite::Statement row = query(reader, kSql.c_str(), filter.user, filter.action, filter.since, filter.until, number,
                                static_cast<std::int64_t>(std::min<std::size_t>(limit, INT32_MAX)));
  while (row.executeStep()) rows.push_back(row_in(row));
  looked_at = rows.size() < limit ? std::max(newest, number) : rows.back().number;
  return rows;
}

std::optional<AuditRow> Audit::find(SQLite::Database& reader, std::int64_t number) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM audit WHERE number = ?";
  SQLite::Statement row = query(reader, kSql.c_str(), number);
  if (!row.executeStep()) return std::nullopt;
  return row_in(row);
}

std::int64_t Audit::head(SQLite::Database& reader) const {
  SQLite::Statement row = query(reader, "SELECT coalesce(max(number), 0) FROM audit");
  row.executeStep();
  return row.getColumn(0).getInt64();
}

AuditVerdict Audit::verify(SQLite::Database& reader) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM audit ORDER BY number";
  const SQLite::Transaction one_moment(reader);  // else rows written meanwhile look like missing ones
  const Cut cut = last_cut(reader);
  AuditVerdict verdict;
  verdict.first = cut.number + 1;
  std::string previous = cut.hash, cut_told;
  std::int64_t expected = verdict.first;
  SQLite::Statement row = query(reader, kSql.c_str());
  for (; row.executeStep(); ++expected) {
    const AuditRow audit = row_in(row);
    if (audit.number != expected || audit.hash != hash_of(audit, previous)) {
      verdict.first_broken = expected;
      return verdict;
    }
    if (audit.action == kCutAction) cut_told = audit.object;
    previous = audit.hash;
    ++verdict.rows;
  }
  verdict.head = expected - 1;
  verdict.head_hash = previous;
  // Rows at the end that are gone, and a beginning that was not cut by us.
  if (last_number(reader) != verdict.head) verdict.first_broken = expected;
  else if (cut_told != (cut.number == 0 ? std::string() : cut_object(cut))) verdict.first_broken = verdict.first;
  return verdict;
}

asio::awaitable<Result<std::size_t>> Audit::cut(Timestamp limit) {
  std::function<Result<std::size_t>(SQLite::Database&)> change = [limit, now = clock_.now()](SQLite::Database& db) -> Result<std::size_t> {
    Cut cut = last_cut(db);
    const std::int64_t begin = cut.number;
    {
      // Before the first row that is to be kept, never the newest.
      SQLite::Statement row = query(db,
                                    "SELECT number, hash FROM audit WHERE number <= ?1 AND number < (SELECT max(number) FROM audit) AND number < "
                                    "coalesce((SELECT min(number) FROM audit WHERE at >= ?2), 9223372036854775807) ORDER BY number DESC LIMIT 1",
                                    begin + kCutAtOnce, limit);
      if (!row.executeStep()) return std::size_t{0};
      cut = {row.getColumn(0).getInt64(), text_in(row, 1)};
    }
    append_audit(db, now, {"berthd", Role::admin, "-", {}}, kCutAction, cut_object(cut), "ok");
    run(db, "INSERT INTO audit_cuts (number, hash, at) VALUES (?, ?, ?)", cut.number, cut.hash, now);
    return static_cast<std::size_t>(run(db, "DELETE FROM audit WHERE number <= ?", cut.number));
  };
  auto gone = co_await write_answer<std::size_t>(store_, std::move(change));
  co_return gone;
}

}  // namespace berth::auth
