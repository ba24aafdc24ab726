// The audit trail: append-only, hash-chained rows (each hash covers the previous row's hash and all fields of the row).
#pragma once
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

// Appends within the caller's transaction (used by every change to identity and access).
void append_audit(SQLite::Database& writer, Timestamp at, const Actor& actor, std::string_view action, std::string_view object,
                  std::string_view outcome);

struct AuditFilter {
  std::string user;    // rows by this user, or about them
  std::string action;  // "key.add", or "key" for all of them
  Timestamp since{}, until{};  // zero: without an end
};

struct AuditVerdict {
  std::optional<std::int64_t> first_broken;  // changed, missing, inserted; nullopt: the chain is whole
  std::int64_t first = 0, rows = 0;          // the oldest row that is kept, and how many were read
  std::int64_t head = 0;                     // the newest
  std::string head_hash;
};

class Audit {
 public:
  Audit(Store& store, const Clock& clock) : store_(store), clock_(clock) {}
  // For events with no other change (logins, refusals): queued, nobody waits.
  void note(Actor actor, std::string action, std::string object, std::string outcome);
  // The same for what strangers can cause as often as they like: at most kMostRefusals rows a minute; how many were left out is a row of its own.
  void note_refusal(Actor actor, std::string action, std::string object, std::string outcome);
  static constexpr std::size_t kMostRefusals = 120;

  // The last `limit` rows that match, newest last.
  std::vector<AuditRow> tail(SQLite::Database& reader, std::size_t limit, const AuditFilter& filter = {}) const;
  // The next `limit` rows after this number that match, in order; `looked_at` becomes the number up to which there are no more of them.
  std::vector<AuditRow> after(SQLite::Database& reader, std::int64_t number, std::size_t limit, const AuditFilter& filter, std::int64_t& looked_at) const;
  std::optional<AuditRow> find(SQLite::Database& reader, std::int64_t number) const;
  std::int64_t head(SQLite::Database& reader) const;  // the newest row's number; 0 without rows
  // Reads all rows: run it on a reader that no lane waits for when the trail is long.
  AuditVerdict verify(SQLite::Database& reader) const;

  // Forgets the rows from before `limit`, the oldest first and at most 10,000 at once; answers how many. The cut is a row of the trail and names the
  // last hash that is gone, so that the rest can still be verified from there on.
  boost::asio::awaitable<Result<std::size_t>> cut(Timestamp limit);

 private:
  Store& store_;
  const Clock& clock_;
  std::mutex mutex_;  // of the next three
  Timestamp refusals_since_{};
  std::size_t refusals_ = 0, left_out_ = 0;
};

}  // namespace berth::auth
