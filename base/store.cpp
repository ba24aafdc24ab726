#include "base/store.hpp"

#include <fcntl.h>
#include <SQLiteCpp/Backup.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "base/handles.hpp"
#include "base/store_writer.hpp"

namespace berth {
namespace {
namespace asio = boost::asio;

constexpr int kApplicationId = 0x42727468;  // "Brth": SQLite's application_id of every Berth store
constexpr int kBusyTimeoutMs = 5000;

// Held as long as the returned descriptor is open; the kernel lets go when the process dies.
Result<FileDescriptor> lock_store(const std::string& path) {
  FileDescriptor file(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return errno_error(path + ".lock cannot be opened", errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file.get(), 0) == 0) (void)!::pwrite(file.get(), pid.data(), pid.size(), 0);  // for people only
    return file;
  }
  char holder[32] = {};
  const ssize_t got = ::pread(file.get(), holder, sizeof holder - 1, 0);
  std::string pid(holder, got > 0 ? static_cast<std::size_t>(got) : 0);
  pid.erase(pid.find_last_not_of('\n') + 1);
  return Error{ErrorKind::conflict, "another berthd" + (pid.empty() ? "" : " (process " + pid + ")") + " already uses " + path};
}

// Is this the lock of that store, and not a file that was made anew since, or another one?
Result<void> check_lock(const FileDescriptor& lock, const std::string& path) {
  struct stat given {}, there {};
  const bool same = ::fstat(lock.get(), &given) == 0 && ::stat((path + ".lock").c_str(), &there) == 0 && given.st_dev == there.st_dev && given.st_ino == there.st_ino;
  if (!same) return Error{ErrorKind::conflict, "the other berthd uses another store than " + path};
  return {};
}

// Made by ourselves, so that no moment passes in which others could open it; SQLite gives -wal and -shm the same mode.
Result<void> ensure_private_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_error(path + " cannot be opened", errno);
  if (::fchmod(file.get(), 0600) != 0) return errno_error(path + " cannot be made private", errno);
  return {};
}

void set_pragmas(SQLite::Database& database) {
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
}

Result<void> check_owner(SQLite::Database& database, const std::string& path, int newest) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  const int application = database.execAndGet("PRAGMA application_id").getInt();
  const int tables = database.execAndGet("SELECT count(*) FROM sqlite_master").getInt();
  if (application != kApplicationId && (application != 0 || version != 0 || tables != 0)) {
    return Error{ErrorKind::invalid, path + " is an SQLite file of another program, not a Berth store"};
  }
  if (version > newest) {
    return Error{ErrorKind::conflict, path + " was written by a newer Berth (schema " + std::to_string(version) + "; this one knows " +
                                          std::to_string(newest) + "): install that version, or restore a backup"};
  }
  return {};
}

Result<void> migrate(SQLite::Database& database, const std::string& path, std::span<const Migration> migrations) {
  for (const Migration& migration : migrations) {
    if (migration.number <= database.execAndGet("PRAGMA user_version").getInt()) continue;
    try {
      SQLite::Transaction transaction(database);
      database.exec(std::string(migration.sql));
      database.exec("PRAGMA application_id=" + std::to_string(kApplicationId) + "; PRAGMA user_version=" + std::to_string(migration.number));
      transaction.commit();
    } catch (const SQLite::Exception& problem) {
      Error error = store_error(path, &database, problem);
      return Error{error.kind, path + ": migration " + std::to_string(migration.number) + " failed: " + error.message};
    }
  }
  return {};
}

Result<void> copy_store(const std::string& from, const std::string& to) {
  {
    const FileDescriptor file(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return errno_error(to + " cannot be made", errno);
  }
  try {
    SQLite::Database source(from, SQLite::OPEN_READONLY, kBusyTimeoutMs);
    SQLite::Database copy(to, SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    SQLite::Backup backup(copy, source);
    // All in one step: one read transaction, so the copy is one moment of the store, and in WAL mode no writer waits for it.
    if (backup.executeStep(-1) != SQLITE_DONE) throw std::runtime_error("backup did not finish");
    return {};
  } catch (const std::exception& problem) {
    ::unlink(to.c_str());
    const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&problem);
    if (sqlite != nullptr && (sqlite->getErrorCode() & 0xff) == SQLITE_FULL) return Error{ErrorKind::internal, "the disk that holds " + to + " is full"};
    return Error{ErrorKind::internal, "the copy failed: " + std::string(problem.what())};
  }
}

}  // namespace

struct Store::Impl {
  Impl(std::string store_path, FileDescriptor store_lock, SQLite::Database database)
      : path(std::move(store_path)), lock(std::move(store_lock)), writer(path, std::move(database)) {}
  ~Impl() { backups.join(); }

  const std::string path;
  FileDescriptor lock;
  StoreWriter writer;
  asio::thread_pool backups{1};
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path, std::span<const Migration> migrations, FileDescriptor given_lock) {
  const std::string name = path.string();
  Result<FileDescriptor> lock(std::move(given_lock));
  if (*lock) {
    if (auto ours = check_lock(*lock, name); ours.has_error()) return ours.error();
  } else {
    lock = lock_store(name);
    if (lock.has_error()) return lock.error();
  }
  if (auto made = ensure_private_file(name); made.has_error()) return made.error();
  std::optional<SQLite::Database> database;
  try {
    database.emplace(name, SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    if (auto ours = check_owner(*database, name, migrations.empty() ? 0 : migrations.back().number); ours.has_error()) return ours.error();
    set_pragmas(*database);
    if (auto done = migrate(*database, name, migrations); done.has_error()) return done.error();
  } catch (const SQLite::Exception& problem) {
    return store_error(name, database ? &*database : nullptr, problem);
  }
  return std::unique_ptr<Store>(new Store(std::make_unique<Impl>(name, std::move(*lock), std::move(*database))));
}

std::unique_ptr<SQLite::Database> Store::open_reader() const {
  auto reader = std::make_unique<SQLite::Database>(impl_->path, SQLite::OPEN_READONLY, kBusyTimeoutMs);
  reader->exec("PRAGMA query_only=ON");
  return reader;
}

asio::awaitable<Result<void>> Store::write(std::function<Result<void>(SQLite::Database&)> change) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto initiate = [this, &change, &executor](auto handler) {
    impl_->writer.add(std::move(change), Completion(WriteHandler(std::move(handler)), executor));
  };
  Result<void> result = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(initiate, asio::use_awaitable);
  co_return result;
}

Result<void> Store::write_now(std::function<Result<void>(SQLite::Database&)> change) {
  std::promise<Result<void>> waiting;
  auto answer = waiting.get_future();
  impl_->writer.add(std::move(change), waiting);
  return answer.get();
}

void Store::post(std::string_view what, std::function<Result<void>(SQLite::Database&)> change) { impl_->writer.add(what, std::move(change)); }

void Store::watch(std::function<void(const std::vector<std::string>& tables)> changed) { impl_->writer.watch(std::move(changed)); }
int Store::share_lock() const { return impl_->lock.get(); }

asio::awaitable<Result<std::int64_t>> Store::foreign_changes() {
  // Of the writer's connection: the others of this process only read, so what changed it was another process.
  auto version = std::make_shared<std::int64_t>(0);
  std::function<Result<void>(SQLite::Database&)> look = [version](SQLite::Database& db) -> Result<void> {
    *version = db.execAndGet("PRAGMA data_version").getInt64();
    return {};
  };
  auto looked = co_await write(std::move(look));
  if (looked.has_error()) co_return looked.error();
  co_return *version;
}
const Histogram& Store::write_latency() const { return impl_->writer.latency(); }

asio::awaitable<Result<void>> Store::backup(std::filesystem::path to) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto initiate = [this, &to, &executor](auto handler) {
    asio::post(impl_->backups, [from = impl_->path, target = to.string(), done = Completion(WriteHandler(std::move(handler)), executor)]() mutable {
      done(copy_store(from, target));
    });
  };
  Result<void> result = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(initiate, asio::use_awaitable);
  co_return result;
}

}  // namespace berth
