#include "base/kept_statements.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <thread>

#include "base/store.hpp"
#include "tests/support/temp_dir.hpp"

namespace berth {
namespace {

constexpr Migration kTables[] = {{1, "CREATE TABLE t (n INTEGER PRIMARY KEY, body TEXT) STRICT;"}};
constexpr char kInsert[] = "INSERT INTO t (n, body) VALUES (?, ?)";
constexpr char kCount[] = "SELECT count(*) FROM t WHERE n > ?";

class KeptStatementsTest : public testing::Test {
 protected:
  void insert(int from, int count) {
    const auto change = [from, count](SQLite::Database& db) -> Result<void> {
      for (int n = from; n < from + count; ++n) db.exec("INSERT INTO t (n, body) VALUES (" + std::to_string(n) + ", 'x')");
      return {};
    };
    ASSERT_TRUE(store->write_now(change).has_value());
  }
  static int count(SQLite::Database& database) {
    KeptStatement row(database, kCount);
    row->bind(1, 0);
    row->executeStep();
    return row->getColumn(0).getInt();
  }
  // How many there are of a connection, in use or not.
  static int prepared(SQLite::Database& database) {
    int found = 0;
    for (sqlite3_stmt* each = sqlite3_next_stmt(database.getHandle(), nullptr); each != nullptr; each = sqlite3_next_stmt(database.getHandle(), each)) ++found;
    return found;
  }

  TempDir dir;
  std::unique_ptr<Store> store = Store::open(dir.path() / "s.db", kTables).value();
  std::unique_ptr<SQLite::Database> reader = store->open_reader();
};

TEST_F(KeptStatementsTest, SeeWhatWasCommittedSince) {
  const KeptStatements kept(*reader);
  EXPECT_EQ(count(*reader), 0);
  insert(1, 3);
  EXPECT_EQ(count(*reader), 3);
  insert(4, 1);
  EXPECT_EQ(count(*reader), 4);
  EXPECT_EQ(prepared(*reader), 1);
}

// One that stopped at its first row would hold its moment of the store open for all that is read after it.
TEST_F(KeptStatementsTest, HoldNoReadTransactionOpen) {
  const KeptStatements kept(*reader);
  insert(1, 3);
  {
    KeptStatement row(*reader, "SELECT n FROM t ORDER BY n");
    ASSERT_TRUE(row->executeStep());
  }
  try {
    KeptStatement row(*reader, "SELECT n FROM t ORDER BY n");
    ASSERT_TRUE(row->executeStep());
    throw std::runtime_error("somebody who reads it");
  } catch (const std::runtime_error&) {
  }
  SQLite::Database other((dir.path() / "s.db").string(), SQLite::OPEN_READWRITE);
  EXPECT_EQ(other.execAndGet("PRAGMA wal_checkpoint(TRUNCATE)").getInt(), 0) << "busy: a reader is in the way";
}

TEST_F(KeptStatementsTest, TwoOfTheSameAtOnceAreTwo) {
  insert(1, 3);
  const KeptStatements kept(*reader);
  for (int round = 0; round < 2; ++round) {
    KeptStatement outer(*reader, "SELECT n FROM t ORDER BY n");
    KeptStatement inner(*reader, "SELECT n FROM t ORDER BY n");
    ASSERT_TRUE(outer->executeStep() && outer->executeStep() && inner->executeStep());
    EXPECT_EQ(outer->getColumn(0).getInt(), 2);
    EXPECT_EQ(inner->getColumn(0).getInt(), 1);
  }
}

TEST_F(KeptStatementsTest, ForgetWhatWasBound) {
  SQLite::Database db((dir.path() / "s.db").string(), SQLite::OPEN_READWRITE);
  const KeptStatements kept(db);
  {
    KeptStatement row(db, kInsert);
    row->bind(1, 1);
    row->bind(2, std::string("secret"));
    row->exec();
  }
  {
    KeptStatement row(db, kInsert);
    row->bind(1, 2);
    row->exec();
  }
  EXPECT_TRUE(db.execAndGet("SELECT body IS NULL FROM t WHERE n = 2").getInt());
}

TEST_F(KeptStatementsTest, SurviveAFailureAndAChangeOfTheSchema) {
  SQLite::Database db((dir.path() / "s.db").string(), SQLite::OPEN_READWRITE);
  const KeptStatements kept(db);
  const auto insert_one = [&db] {
    KeptStatement row(db, kInsert);
    row->bind(1, 1);
    row->exec();
  };
  insert_one();
  EXPECT_THROW(insert_one(), SQLite::Exception);
  db.exec("DELETE FROM t; ALTER TABLE t ADD COLUMN more TEXT NOT NULL DEFAULT 'x'");
  insert_one();
  EXPECT_EQ(db.execAndGet("SELECT more FROM t").getString(), "x");
}

TEST_F(KeptStatementsTest, AreOfOneConnectionOnOneThreadWhileTheyLive) {
  insert(1, 3);
  const auto other = store->open_reader();
  {
    const KeptStatements kept(*reader);
    EXPECT_EQ(count(*other), 3);
    EXPECT_EQ(prepared(*other), 0);
    std::thread([this] { EXPECT_EQ(count(*reader), 3); }).join();
    EXPECT_EQ(prepared(*reader), 0);
    EXPECT_EQ(count(*reader), 3);
    EXPECT_EQ(prepared(*reader), 1);
    EXPECT_EQ(count(*other), 3);
    EXPECT_EQ(prepared(*other), 0);
    std::thread([this, &other] {  // which keeps for its own
      const KeptStatements of_other(*other);
      EXPECT_EQ(count(*other), 3);
      EXPECT_EQ(prepared(*other), 1);
    }).join();
    EXPECT_EQ(prepared(*other), 0);
    EXPECT_EQ(prepared(*reader), 1);
  }
  EXPECT_EQ(prepared(*reader), 0);
  EXPECT_EQ(count(*reader), 3);
  EXPECT_EQ(prepared(*reader), 0);
}

}  // namespace
}  // namespace berth
