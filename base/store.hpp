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

#include "base/result.hpp"

namespace berth {

struct Migration {
  int number;            // 1, 2, 3, … without gaps
  std::string_view sql;  // forward only, one transaction, never edited once landed
};

class Store {
 public:
  // Opens or creates `path` (mode 0600) and migrates it forward. Errors: a directory that is missing or not writable, a file that is
  // not SQLite, a schema newer than this program. Starts the writer thread.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path, std::span<const Migration> migrations);
  ~Store();  // finishes queued writes, then ends the writer thread

  // A read-only connection for one lane (not shared between threads). Throws SQLite::Exception when it cannot be opened.
  std::unique_ptr<SQLite::Database> open_reader() const;

  // Runs `change` on the writer thread in a transaction of its own (a savepoint in a group commit). It is rolled back when
  // `change` returns an error or throws. Resumes on the caller's executor after the commit is on disk. A full disk is
  // Error{internal, "…"}: nothing was changed.
  boost::asio::awaitable<Result<void>> write(std::function<Result<void>(SQLite::Database&)> change);
  // The same from a plain thread (start-up, tests).
  Result<void> write_now(std::function<Result<void>(SQLite::Database&)> change);

  // A consistent copy of the whole store while it is in use (SQLite's backup API).
  boost::asio::awaitable<Result<void>> backup(std::filesystem::path to);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth
