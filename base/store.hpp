// The one SQLite file (WAL, foreign keys on, synchronous=FULL). One writer thread runs every change, in order, grouped
// into transactions; each lane reads through a read-only connection of its own and never waits for a write.
#pragma once
#include <SQLiteCpp/SQLiteCpp.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth {

class Histogram;

struct Migration {
  int number;            // 1, 2, 3, … without gaps
  std::string_view sql;  // forward only, one transaction, never edited once landed
};

class Store {
 public:
  // Opens or creates `path` (mode 0600) and migrates it forward; PATH.lock is held until the end, so that one process at a time has the
  // store. Errors: a directory that is missing or not writable, a file that is not a Berth store, a schema newer than this program,
  // another process that has it. Starts the writer thread. `lock`: that lock, as another process that has the store gave it away
  // (share_lock); both hold it then, until the last of them has ended.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path, std::span<const Migration> migrations, FileDescriptor lock = {});
  // Finishes queued writes, then ends the writer thread. Destroy it before the io_contexts whose coroutines may wait for a write.
  ~Store();

  // A read-only connection for one lane (not shared between threads). Throws SQLite::Exception when it cannot be opened.
  std::unique_ptr<SQLite::Database> open_reader() const;

  // Runs `change` on the writer thread in a transaction of its own (a savepoint in a group commit). It is rolled back when
  // `change` returns an error or throws. Resumes on the caller's executor after the commit is on disk. A full disk is
  // Error{internal, "…"}: nothing was changed. `change` may run twice (its group could not be committed as a whole): it hands
  // values out through captured state by assignment only.
  boost::asio::awaitable<Result<void>> write(std::function<Result<void>(SQLite::Database&)> change);
  // The same from a plain thread (start-up, tests).
  Result<void> write_now(std::function<Result<void>(SQLite::Database&)> change);
  // Queues a change for which nobody waits, in order with the others; a failure is logged under `what`. When 100000 changes wait
  // already (the disk stands still), it is dropped and logged: memory stays bounded.
  void post(std::string_view what, std::function<Result<void>(SQLite::Database&)> change);

  // A consistent copy of the whole store while it is in use (SQLite's backup API), mode 0600. `to` must not exist yet.
  boost::asio::awaitable<Result<void>> backup(std::filesystem::path to);

  // `changed` is called on the writer thread after each commit with the tables that it may have changed, each once. It must be short and must
  // not wait. One watcher; empty: none. When this returns, the one before is not called any more.
  void watch(std::function<void(const std::vector<std::string>& tables)> changed);
  // The lock, for a process of the same user that is to use the store beside this one.
  int share_lock() const;
  // A number that is another one once another process has committed a change.
  boost::asio::awaitable<Result<std::int64_t>> foreign_changes();
  // How long changes took, from being queued to being on disk (or refused).
  const Histogram& write_latency() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth
