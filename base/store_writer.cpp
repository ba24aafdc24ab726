#include "base/store_writer.hpp"

#include <pthread.h>
#include <sqlite3.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <cerrno>

#include "base/assert.hpp"
#include "base/kept_statements.hpp"
#include "base/log.hpp"

namespace berth {
namespace {
namespace asio = boost::asio;

constexpr std::size_t kMostInGroup = 512;     // changes in one commit: bounds how long the first one waits
constexpr std::size_t kMostQueued = 100'000;  // of those that nobody waits for
// How long the first of those waits for more: a login has several rows, and each commit writes and flushes every page that it touches.
constexpr std::chrono::milliseconds kGather{2};

bool in_transaction(SQLite::Database& database) { return sqlite3_get_autocommit(database.getHandle()) == 0; }

}  // namespace

Completion::Completion(WriteHandler handler, const asio::any_io_executor& executor)
    : handler_(std::move(handler)), executor_(asio::prefer(executor, asio::execution::outstanding_work.tracked)) {}

void Completion::operator()(Result<void> result) {
  const asio::any_io_executor executor = std::move(executor_);
  asio::post(executor, [handler = std::move(handler_), result = std::move(result)]() mutable { std::move(handler)(std::move(result)); });
}

Error store_error(const std::string& path, SQLite::Database* database, const std::exception& problem) {
  const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&problem);
  const int code = sqlite == nullptr ? 0 : sqlite->getErrorCode() & 0xff;
  const int system = database == nullptr ? 0 : sqlite3_system_errno(database->getHandle());
  log_error("store.error", {{"path", path}, {"detail", problem.what()}, {"sqlite", code}});
  if (code == SQLITE_FULL || (code == SQLITE_IOERR && system == ENOSPC)) {
    return {ErrorKind::internal, "the disk that holds " + path + " is full: nothing was changed"};
  }
  if (code == SQLITE_IOERR) return {ErrorKind::internal, "the disk that holds " + path + " does not work: nothing was changed"};
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return {ErrorKind::internal, path + " is damaged or is not a Berth store"};
  if (code == SQLITE_BUSY) return {ErrorKind::unavailable, path + " is in use by another program: nothing was changed"};
  if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM) return {ErrorKind::internal, path + " cannot be opened or written"};
  return {ErrorKind::internal, "the store refused the change; the log of berthd says why"};
}

StoreWriter::StoreWriter(std::string path, SQLite::Database database)
    : path_(std::move(path)), database_(std::move(database)), thread_([this] { run(); }) {}

void StoreWriter::watch(std::function<void(const std::vector<std::string>& tables)> changed) {
  const std::lock_guard lock(watcher_mutex_);
  watcher_ = std::move(changed);
}

void StoreWriter::note_table(std::string_view table) {
  if (std::find(touched_.begin(), touched_.end(), table) == touched_.end()) touched_.emplace_back(table);
}

// What was rolled back is told as well: looking once too often does no harm.
void StoreWriter::tell_watcher() {
  if (touched_.empty()) return;
  const std::lock_guard lock(watcher_mutex_);
  if (watcher_) watcher_(touched_);
  touched_.clear();
}

StoreWriter::~StoreWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreWriter::add(Change change, Completion completion) { add({std::move(change), std::move(completion)}); }

void StoreWriter::add(Change change, std::promise<Result<void>>& waiting) {
  BERTH_ASSERT(std::this_thread::get_id() != thread_.get_id());  // it would wait for itself
  add({std::move(change), &waiting});
}

void StoreWriter::add(std::string_view what, Change change) {
  {
    const std::lock_guard lock(mutex_);
    const bool full = queue_.size() >= kMostQueued;
    if (full && !dropping_) log_error("store.queue_full", {{"path", path_}, {"dropped", what}});
    dropping_ = full;
    if (full) return;
  }
  add({std::move(change), std::string(what)});
}

void StoreWriter::add(Item item) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const bool awaited = is_awaited(item);
    queue_.push_back(std::move(item));
    awaited_ += awaited ? 1 : 0;
    wake = awaited || queue_.size() == 1 || queue_.size() >= kMostInGroup;
  }
  if (wake) wake_.notify_one();
}

void StoreWriter::run() {
  pthread_setname_np(pthread_self(), "store");
  const KeptStatements kept(database_);
  const auto note = [](void* self, int, const char*, const char* table, sqlite3_int64) { static_cast<StoreWriter*>(self)->note_table(table); };
  sqlite3_update_hook(database_.getHandle(), note, this);
  while (true) {
    std::vector<Item> group;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      wake_.wait_for(lock, kGather, [this] { return stopping_ || awaited_ > 0 || queue_.size() >= kMostInGroup; });
      const std::size_t count = std::min(queue_.size(), kMostInGroup);
      group.reserve(count);
      std::move(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count), std::back_inserter(group));
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
      awaited_ -= static_cast<std::size_t>(std::count_if(group.begin(), group.end(), is_awaited));
    }
    std::vector<Result<void>> results = commit_group(group);
    tell_watcher();
    for (std::size_t i = 0; i < group.size(); ++i) answer(group[i], std::move(results[i]));
  }
}

// One change that fills the disk must not fail those that would still fit: when the group fails, each is tried by itself.
std::vector<Result<void>> StoreWriter::commit_group(const std::vector<Item>& group) {
  std::vector<Result<void>> results;
  if (group.size() > 1 && commit_together(group, results)) return results;
  results.clear();
  for (const Item& item : group) results.push_back(commit_alone(item.change));
  return results;
}

bool StoreWriter::commit_together(const std::vector<Item>& group, std::vector<Result<void>>& results) {
  try {
    execute("BEGIN IMMEDIATE");
    for (const Item& item : group) {
      execute("SAVEPOINT item");
      results.push_back(apply(item.change));
      // A full disk rolls the whole transaction back by itself, and the earlier changes with it.
      if (!in_transaction(database_)) return false;
      if (results.back().has_error()) execute("ROLLBACK TO item");
      execute("RELEASE item");
    }
    execute("COMMIT");
    return true;
  } catch (const SQLite::Exception& problem) {
    store_error(path_, &database_, problem);
    roll_back();
    return false;
  }
}

Result<void> StoreWriter::commit_alone(const Change& change) {
  try {
    execute("BEGIN IMMEDIATE");
    Result<void> result = apply(change);
    if (result.has_value()) {
      execute("COMMIT");
    } else {
      roll_back();
    }
    return result;
  } catch (const SQLite::Exception& problem) {
    Error error = store_error(path_, &database_, problem);
    roll_back();
    return error;
  }
}

void StoreWriter::execute(const char* sql) { KeptStatement(database_, sql)->exec(); }

Result<void> StoreWriter::apply(const Change& change) {
  try {
    return change(database_);
  } catch (const std::exception& problem) {
    return store_error(path_, &database_, problem);
  }
}

void StoreWriter::roll_back() {
  if (in_transaction(database_)) database_.tryExec("ROLLBACK");
}

void StoreWriter::answer(Item& item, Result<void> result) {
  latency_.observe(std::chrono::steady_clock::now() - item.queued_at);
  if (auto* completion = std::get_if<Completion>(&item.answer)) {
    (*completion)(std::move(result));
  } else if (auto* promise = std::get_if<std::promise<Result<void>>*>(&item.answer)) {
    (*promise)->set_value(std::move(result));
  } else if (result.has_error()) {
    log_error("store.lost", {{"what", std::get<std::string>(item.answer)}, {"error", result.error().message}});
  }
}

}  // namespace berth
