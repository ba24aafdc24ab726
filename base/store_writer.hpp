// The writer thread of the store: takes what is queued, runs it as one transaction with a savepoint for each change, commits, answers.
#pragma once
#include <SQLiteCpp/Database.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/histogram.hpp"
#include "base/result.hpp"

namespace berth {

using Change = std::function<Result<void>(SQLite::Database&)>;
using WriteHandler = boost::asio::any_completion_handler<void(Result<void>)>;

// Answers `handler` on `executor` (its coroutine's), which has work outstanding until then.
class Completion {
 public:
  Completion(WriteHandler handler, const boost::asio::any_io_executor& executor);
  void operator()(Result<void> result);

 private:
  WriteHandler handler_;
  boost::asio::any_io_executor executor_;
};

// What went wrong, in a sentence for the peer; the detail goes to the log. `path` is the store's.
Error store_error(const std::string& path, SQLite::Database* database, const std::exception& problem);

class StoreWriter {
 public:
  StoreWriter(std::string path, SQLite::Database database);
  ~StoreWriter();

  void add(Change change, Completion completion);
  void add(Change change, std::promise<Result<void>>& waiting);
  void add(std::string_view what, Change change);  // nobody waits: written with what else comes within 2 ms, sooner when somebody waits for one of those

  void watch(std::function<void(const std::vector<std::string>& tables)> changed);
  const Histogram& latency() const { return latency_; }

 private:
  struct Item {
    Change change;
    std::variant<std::string, Completion, std::promise<Result<void>>*> answer;  // string: what to log on failure
    std::chrono::steady_clock::time_point queued_at = std::chrono::steady_clock::now();
  };

  static bool is_awaited(const Item& item) { return !std::holds_alternative<std::string>(item.answer); }
  void add(Item item);
  void run();
  void execute(const char* sql);
  std::vector<Result<void>> commit_group(const std::vector<Item>& group);
  bool commit_together(const std::vector<Item>& group, std::vector<Result<void>>& results);
  Result<void> commit_alone(const Change& change);
  Result<void> apply(const Change& change);
  void roll_back();
  void answer(Item& item, Result<void> result);
  void note_table(std::string_view table);
  void tell_watcher();

  const std::string path_;
  SQLite::Database database_;
  std::mutex mutex_;  // of the four below
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::size_t awaited_ = 0;  // of them, those that somebody waits for
  bool stopping_ = false;
  bool dropping_ = false;  // the queue is full: say so once
  std::mutex watcher_mutex_;
  std::function<void(const std::vector<std::string>&)> watcher_;
  std::vector<std::string> touched_;  // tables that the group under way has changed
  Histogram latency_;
  std::thread thread_;
};

}  // namespace berth
