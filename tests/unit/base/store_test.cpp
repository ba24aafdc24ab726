#include "base/store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <set>
#include <thread>

#include "base/histogram.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"

namespace berth {
namespace {
namespace asio = boost::asio;

constexpr Migration kFirst[] = {{1, "CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB) STRICT;"}};
constexpr Migration kBoth[] = {kFirst[0], {2, "ALTER TABLE t ADD COLUMN more TEXT NOT NULL DEFAULT 'x'; CREATE INDEX t_more ON t (more);"}};

std::unique_ptr<Store> open_store(const std::filesystem::path& path, std::span<const Migration> migrations = kFirst) {
  auto store = Store::open(path, migrations);
  EXPECT_TRUE(store.has_value()) << (store.has_error() ? store.error().message : "");
  return store.has_value() ? std::move(*store) : nullptr;
}

std::function<Result<void>(SQLite::Database&)> insert(std::int64_t n) {
  return [n](SQLite::Database& db) -> Result<void> {
    SQLite::Statement row(db, "INSERT INTO t (n) VALUES (?)");
    row.bind(1, n);
    row.exec();
    return {};
  };
}

std::int64_t count(Store& store) { return store.open_reader()->execAndGet("SELECT count(*) FROM t").getInt64(); }

class StoreTest : public testing::Test {
 protected:
  TempDir dir;
  std::filesystem::path path = dir.path() / "berth.db";
};

TEST_F(StoreTest, MigratesFromEmptyAndForward) {
  { EXPECT_TRUE(open_store(path)->write_now(insert(1)).has_value()); }
  const auto store = open_store(path, kBoth);
  EXPECT_EQ(store->open_reader()->execAndGet("SELECT more FROM t").getString(), "x");
  EXPECT_EQ(store->open_reader()->execAndGet("PRAGMA user_version").getInt(), 2);
  EXPECT_EQ(store->open_reader()->execAndGet("PRAGMA journal_mode").getString(), "wal");
}

TEST_F(StoreTest, TellsWhichTablesChanged) {
  const auto store = open_store(path, kBoth);
  std::vector<std::vector<std::string>> told;  // written by the writer thread before write_now() returns
  store->watch([&told](const std::vector<std::string>& tables) { told.push_back(tables); });
  ASSERT_TRUE(store->write_now(insert(1)).has_value());
  ASSERT_TRUE(store->write_now([](SQLite::Database& db) -> Result<void> { db.execAndGet("SELECT count(*) FROM t"); return {}; }).has_value());
  ASSERT_TRUE(store->write_now([](SQLite::Database& db) -> Result<void> { db.exec("UPDATE t SET more = 'y'; DELETE FROM t WHERE n = 1"); return {}; }).has_value());
  store->watch({});
  ASSERT_TRUE(store->write_now(insert(2)).has_value());
  EXPECT_EQ(told, (std::vector<std::vector<std::string>>{{"t"}, {"t"}}));
  EXPECT_EQ(store->write_latency().count(), 4u);
}

TEST_F(StoreTest, RefusesANewerSchema) {
  open_store(path, kBoth).reset();
  const auto older = Store::open(path, kFirst);
  ASSERT_TRUE(older.has_error());
  EXPECT_NE(older.error().message.find("was written by a newer Berth (schema 2; this one knows 1)"), std::string::npos) << older.error().message;
}

TEST_F(StoreTest, RefusesFilesThatAreNotItsOwn) {
  std::ofstream(path) << std::string(4096, 'x');
  EXPECT_TRUE(Store::open(path, kFirst).has_error());
  std::filesystem::remove(path);
  SQLite::Database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE other (a)");
  const auto other = Store::open(path, kFirst);
  ASSERT_TRUE(other.has_error());
  EXPECT_NE(other.error().message.find("of another program"), std::string::npos);
  EXPECT_EQ(Store::open(dir.path() / "none" / "berth.db", kFirst).error().kind, ErrorKind::not_found);
}

TEST_F(StoreTest, AFailedMigrationChangesNothing) {
  const Migration broken[] = {kFirst[0], {2, "CREATE TABLE u (a); CREATE TABLE t (a);"}};
  const auto store = Store::open(path, broken);
  ASSERT_TRUE(store.has_error());
  EXPECT_NE(store.error().message.find("migration 2 failed"), std::string::npos);
  EXPECT_EQ(open_store(path, kBoth)->open_reader()->execAndGet("SELECT count(*) FROM sqlite_master WHERE name='u'").getInt(), 0);
}

TEST_F(StoreTest, IsPrivateAndHeldByOneProcess) {
  const auto store = open_store(path);
  ASSERT_TRUE(store->write_now(insert(1)).has_value());
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat info {};
    ASSERT_EQ(::stat((path.string() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
  const auto second = Store::open(path, kFirst);
  ASSERT_TRUE(second.has_error());
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  EXPECT_EQ(second.error().message, "another berthd (process " + std::to_string(::getpid()) + ") already uses " + path.string());
}

// Two processes by consent: the lock is held until both have gone, and each hears of the other's changes only.
TEST_F(StoreTest, ASecondThatIsGivenTheLock) {
  auto first = open_store(path);
  auto second = Store::open(path, kFirst, FileDescriptor(::dup(first->share_lock())));
  ASSERT_TRUE(second.has_value()) << second.error().message;
  const auto changes = [](Store& store) { return run_coroutine(store.foreign_changes()).value(); };
  const std::int64_t before = changes(*first);
  ASSERT_TRUE(first->write_now(insert(1)).has_value());
  EXPECT_EQ(changes(*first), before);
  ASSERT_TRUE((*second)->write_now(insert(2)).has_value());
  EXPECT_NE(changes(*first), before);
  EXPECT_EQ(first->open_reader()->execAndGet("SELECT count(*) FROM t").getInt(), 2);
  first.reset();
  EXPECT_EQ(Store::open(path, kFirst).error().kind, ErrorKind::conflict);
  EXPECT_EQ(Store::open(dir.path() / "other.db", kFirst, FileDescriptor(::dup((*second)->share_lock()))).error().kind, ErrorKind::conflict);
  second->reset();
  EXPECT_TRUE(Store::open(path, kFirst).has_value());
}

TEST_F(StoreTest, ReadersCannotWrite) {
  const auto store = open_store(path);
  EXPECT_THROW(store->open_reader()->exec("INSERT INTO t (n) VALUES (1)"), SQLite::Exception);
}

TEST_F(StoreTest, AChangeThatFailsIsRolledBackAlone) {
  const auto store = open_store(path);
  const auto refuse = [](SQLite::Database& db) -> Result<void> {
    db.exec("INSERT INTO t (n) VALUES (100)");
    return Error{ErrorKind::conflict, "no"};
  };
  const auto throws = [](SQLite::Database& db) -> Result<void> {
    db.exec("INSERT INTO t (n) VALUES (101)");
    throw std::runtime_error("broken");
  };
  for (int i = 0; i < 50; ++i) store->post("test", insert(i));  // so that some share a group with what fails
  EXPECT_EQ(store->write_now(refuse).error().message, "no");
  for (int i = 50; i < 100; ++i) store->post("test", insert(i));
  EXPECT_EQ(store->write_now(throws).error().kind, ErrorKind::internal);
  EXPECT_EQ(store->write_now(insert(1)).error().kind, ErrorKind::internal);  // the row exists: a constraint
  EXPECT_EQ(count(*store), 100);
}

asio::awaitable<void> write_some(Store& store, std::int64_t from, std::int64_t many, std::thread::id home, int& done) {
  for (std::int64_t n = from; n < from + many; ++n) {
    auto change = insert(n);
    const auto result = co_await store.write(std::move(change));
    EXPECT_TRUE(result.has_value());
    EXPECT_EQ(std::this_thread::get_id(), home);
    ++done;
  }
}

TEST_F(StoreTest, ManyLanesWriteAndReadAtOnce) {
  const auto store = open_store(path);
  std::vector<std::thread> lanes;
  std::array<int, 4> done{};
  for (int lane = 0; lane < 4; ++lane) {
    lanes.emplace_back([&, lane] {
      asio::io_context io(1);
      auto reader = store->open_reader();
      for (int task = 0; task < 5; ++task) {
        asio::co_spawn(io, write_some(*store, lane * 1000 + task * 100, 20, std::this_thread::get_id(), done[lane]), asio::detached);
      }
      while (io.run_one() != 0) {
        // What this lane was told is written, it sees.
        SQLite::Statement rows(*reader, "SELECT count(*) FROM t WHERE n >= ? AND n < ?");
        rows.bind(1, lane * 1000);
        rows.bind(2, lane * 1000 + 1000);
        rows.executeStep();
        EXPECT_GE(rows.getColumn(0).getInt(), done[lane]);
      }
      EXPECT_EQ(done[lane], 100);
    });
  }
  for (auto& lane : lanes) lane.join();
  EXPECT_EQ(count(*store), 400);
}

TEST_F(StoreTest, QueuedWritesAreFinishedAtTheEnd) {
  {
    const auto store = open_store(path);
    for (int i = 0; i < 2000; ++i) store->post("test", insert(i));
  }
  EXPECT_EQ(count(*open_store(path)), 2000);
}

TEST_F(StoreTest, BackupIsAWholeCopy) {
  const auto store = open_store(path);
  for (int i = 0; i < 500; ++i) store->post("test", insert(i));
  ASSERT_TRUE(store->write_now(insert(1000)).has_value());
  const auto run = [&](const std::filesystem::path& to) {
    asio::io_context io;
    std::optional<Result<void>> answer;
    asio::co_spawn(io, store->backup(to), [&](std::exception_ptr, Result<void> r) { answer = r; });
    io.run();
    return *answer;
  };
  const auto to = dir.path() / "copy.db";
  ASSERT_TRUE(run(to).has_value());
  EXPECT_EQ(count(*open_store(to)), 501);
  EXPECT_EQ(run(to).error().kind, ErrorKind::conflict);
  EXPECT_EQ(run(dir.path() / "none" / "copy.db").error().kind, ErrorKind::not_found);
}

Result<void> fill(Store& store, std::size_t bytes) {
  return store.write_now([bytes](SQLite::Database& db) -> Result<void> {
    SQLite::Statement row(db, "INSERT INTO t (body) VALUES (zeroblob(?))");
    row.bind(1, static_cast<std::int64_t>(bytes));
    row.exec();
    return {};
  });
}

// Runs in a process of its own with a small tmpfs; the exit status says what went wrong.
int use_full_disk(const std::filesystem::path& mount) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=1500k") != 0) return 77;
  auto opened = Store::open(mount / "berth.db", kFirst);
  if (opened.has_error()) return 1;
  Store& store = **opened;
  if (store.write_now(insert(1000000)).has_error()) return 2;
  std::ofstream(mount / "ballast") << std::string(700 * 1024, 'x');
  int accepted = 0;
  Result<void> result = fill(store, 50000);
  for (; result.has_value() && accepted < 100; ++accepted) result = fill(store, 50000);
  if (result.has_value()) return 3;
  if (result.error().message.find("is full: nothing was changed") == std::string::npos) return 4;
  if (count(store) != accepted + 1) return 5;                 // readers go on, and the refused row is not there
  std::filesystem::remove(mount / "ballast");
  if (store.write_now(insert(2000000)).has_error()) return 6;  // space is back: writes work again
  if (count(store) != accepted + 2) return 7;
  return 0;
}

TEST_F(StoreTest, AFullDiskIsAClearErrorAndPasses) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(use_full_disk(dir.path()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs root to mount a small tmpfs";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Two threads write numbers; each goes into the pipe only after its write was acknowledged. Never returns.
[[noreturn]] void write_until_killed(const std::filesystem::path& path, int pipe, std::int64_t from) {
  auto store = Store::open(path, kFirst);
  if (store.has_error()) ::_exit(1);
  const auto work = [&](std::int64_t n) {
    for (;; n += 2) {
      if (store.value()->write_now(insert(n)).has_error() || ::write(pipe, &n, sizeof n) != sizeof n) ::_exit(1);
    }
  };
  std::thread other(work, from + 1);
  work(from);
  std::abort();
}

TEST_F(StoreTest, NothingAcknowledgedIsLostWhenKilled) {
  std::set<std::int64_t> acknowledged;
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) write_until_killed(path, ends[1], round * 1'000'000 + 1);
    ::close(ends[1]);
    std::int64_t n = 0;
    for (int i = 0; i < 20 + 17 * round && ::read(ends[0], &n, sizeof n) == sizeof n; ++i) acknowledged.insert(n);
    ::kill(child, SIGKILL);
    while (::read(ends[0], &n, sizeof n) == sizeof n) acknowledged.insert(n);  // acknowledged before the kill arrived
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    const auto store = open_store(path);
    ASSERT_TRUE(store);
    auto reader = store->open_reader();
    std::set<std::int64_t> present;
    SQLite::Statement rows(*reader, "SELECT n FROM t");
    while (rows.executeStep()) present.insert(rows.getColumn(0).getInt64());
    for (const std::int64_t number : acknowledged) ASSERT_TRUE(present.contains(number)) << number << " in round " << round;
    EXPECT_EQ(reader->execAndGet("PRAGMA integrity_check").getString(), "ok");
  }
  EXPECT_GT(acknowledged.size(), 500u);
}

}  // namespace
}  // namespace berth
