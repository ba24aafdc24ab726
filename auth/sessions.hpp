// What is open now and what was: SSH sessions, tunnels, web streams. Each is a row from open to close; live ones can be
// listed with their counters and killed from any thread, which is how a revocation reaches every connection within 1 s.
#pragma once
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

// The handle that a connection holds while something is open. Its counters are written by one lane and read by any.
class LiveSession {
 public:
  std::atomic<std::uint64_t> bytes_in{0}, bytes_out{0};
  const SessionRecord& record() const { return record_; }  // as at opening

 private:
  friend class Sessions;
  SessionRecord record_;
  std::atomic<bool> closed_{false};
  boost::asio::any_io_executor executor_;
  std::function<void(std::string reason)> kill_;
};

class Sessions {
 public:
  // `instance` names this process in its rows, where several use the store (an upgrade).
  Sessions(Store& store, const Clock& clock, std::string instance = {});
  ~Sessions();

  // Closes the rows that a killed berthd left open ("berthd restarted"); not those of `alive`, other instances that run. Call once at start.
  Result<void> close_leftovers(const std::vector<std::string>& alive = {});
  // The same for one of them that has ended since.
  void close_rows_of(const std::string& instance);

  // Opens a row (id and opened_at are filled in; nobody waits for the disk). `kill` is run on `executor` when somebody ends the
  // session; never after close() has been called on that executor.
  std::shared_ptr<LiveSession> open(SessionRecord record, boost::asio::any_io_executor executor, std::function<void(std::string reason)> kill);
  void close(const std::shared_ptr<LiveSession>& session, std::string outcome);

  std::vector<SessionRecord> live() const;  // with counters as they are now, oldest first
  std::size_t count(std::string_view user, std::string_view kind) const;  // live ones
  // Since the start of this process, by kind: for /metrics. Bytes of live ones included.
  struct Totals {
    std::uint64_t opened = 0, live = 0, bytes_in = 0, bytes_out = 0;
  };
  std::map<std::string, Totals> totals() const;
  // Newest first, live ones included; empty user: all.
  std::vector<SessionRecord> history(SQLite::Database& reader, std::size_t limit, std::string_view user = {}) const;

  // `changed` is called with the user whenever a session of theirs is opened or closed, on that session's thread; it must be short. One
  // watcher; set it before the first session. It must outlive them.
  void watch(std::function<void(const std::string& user)> changed);

  // What other instances have open, as far as the store has it; oldest first.
  std::vector<SessionRecord> elsewhere(SQLite::Database& reader) const;
  // Asks the instance that has the session open to end it.
  void kill_elsewhere(std::string id, std::string reason);
  // What others have asked this one to end: ids and reasons.
  std::vector<std::pair<std::string, std::string>> asked_to_end(SQLite::Database& reader) const;
  // Writes the counters of what is live into the store, where other instances see them.
  void save_counters();

  // Each answers how many it told to end. `reason` is what the client is told.
  std::size_t kill(std::string_view id, std::string reason);
  std::size_t kill_key(std::string_view fingerprint, std::string reason);
  std::size_t kill_user(std::string_view user, std::string reason);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::auth
