// What the clock does to keys: they run out (their own time, the policy's age, the end of a grace) and a campaign's deadline comes. It is
// found by index, done once (a mark in the store says up to when) and audited, whether berthd ran at that moment or not.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

class KeyClock {
 public:
  KeyClock(Store& store, const Clock& clock, const Directory& directory) : store_(store), clock_(clock), directory_(directory) {}

  // When something happens next; zero: nothing is in sight.
  Timestamp next(SQLite::Database& reader) const;
  // Does what is due now. Answers the keys that have run out: what rests on them is to be ended.
  boost::asio::awaitable<Result<std::vector<Key>>> run_due();
  // The same at start, from a plain thread.
  Result<void> run_due_now();

 private:
  std::vector<Key> work(SQLite::Database& writer, Timestamp now) const;

  Store& store_;
  const Clock& clock_;
  const Directory& directory_;
};

// What a client whose key ran out is told.
std::string words_for_ended(const Key& key, const KeyVerdict& verdict);

}  // namespace berth::auth
