// The audit trail: append-only, hash-chained rows (each hash covers the previous row's hash and all fields of the row).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

// Appends within the caller's transaction (used by every change to identity and access).
void append_audit(SQLite::Database& writer, Timestamp at, const Actor& actor, std::string_view action, std::string_view object,
                  std::string_view outcome);

class Audit {
 public:
  Audit(Store& store, const Clock& clock) : store_(store), clock_(clock) {}
  // For events with no other change (logins, refusals): queued, nobody waits.
  void note(Actor actor, std::string action, std::string object, std::string outcome);
  // The last `limit` rows, newest last.
  std::vector<AuditRow> tail(SQLite::Database& reader, std::size_t limit) const;
  // The number of the first broken row (changed, missing, inserted); nullopt when the chain is whole. Reads all rows: run it on a
  // reader that no lane waits for when the trail is long.
  std::optional<std::int64_t> verify(SQLite::Database& reader) const;

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace berth::auth
