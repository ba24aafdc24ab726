#include "auth/audit.hpp"

#include <algorithm>

#include "auth/rows.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {

constexpr std::size_t kMostField = 512;
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

// The highest number ever given; SQLite keeps it for AUTOINCREMENT.
std::int64_t last_number(SQLite::Database& database) {
  SQLite::Statement row = query(database, "SELECT seq FROM sqlite_sequence WHERE name = 'audit'");
  return row.executeStep() ? row.getColumn(0).getInt64() : 0;
}

}  // namespace

void append_audit(SQLite::Database& writer, Timestamp at, const Actor& actor, std::string_view action, std::string_view object, std::string_view outcome) {
  std::string previous;
  {
    SQLite::Statement last = query(writer, "SELECT hash FROM audit ORDER BY number DESC LIMIT 1");
    if (last.executeStep()) previous = text_in(last, 0);
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

std::vector<AuditRow> Audit::tail(SQLite::Database& reader, std::size_t limit) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM audit ORDER BY number DESC LIMIT ?";
  std::vector<AuditRow> rows;
  SQLite::Statement row = query(reader, kSql.c_str(), static_cast<std::int64_t>(std::min<std::size_t>(limit, INT32_MAX)));
  while (row.executeStep()) rows.push_back(row_in(row));
  std::reverse(rows.begin(), rows.end());
  return rows;
}

std::optional<std::int64_t> Audit::verify(SQLite::Database& reader) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM audit ORDER BY number";
  const SQLite::Transaction one_moment(reader);  // else rows written meanwhile look like missing ones
  std::string previous;
  std::int64_t expected = 1;
  SQLite::Statement row = query(reader, kSql.c_str());
  for (; row.executeStep(); ++expected) {
    const AuditRow audit = row_in(row);
    if (audit.number != expected || audit.hash != hash_of(audit, previous)) return expected;
    previous = audit.hash;
  }
  if (last_number(reader) != expected - 1) return expected;
  return std::nullopt;
}

}  // namespace berth::auth
