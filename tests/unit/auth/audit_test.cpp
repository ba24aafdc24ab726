#include "auth_fixture.hpp"

namespace berth::auth {
namespace {

class AuditTest : public AuthTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 8; ++i) {
      audit.note({"ada", Role::user, "127.0.0.1:" + std::to_string(i), "SHA256:x"}, "ssh.login", "ada", i % 2 ? "ok" : "unknown key");
      clock.advance(std::chrono::microseconds(1));
    }
    settle();
  }
  std::optional<std::int64_t> broken() { return audit.verify(*reader).first_broken; }
  // What somebody who can write the file does.
  void tamper(const std::string& sql) {
    ASSERT_TRUE(store->write_now([sql](SQLite::Database& db) -> Result<void> {
                       db.exec("DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_no_delete; DROP TRIGGER IF EXISTS audit_cuts_no_update; DROP TRIGGER IF EXISTS audit_cuts_no_delete; " + sql);
                       return {};
                     }).has_value());
  }
};

TEST_F(AuditTest, TheChainIsWhole) {
  EXPECT_EQ(broken(), std::nullopt);
  const auto rows = audit.tail(*reader, 3);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].number, 6);
  EXPECT_EQ(rows[2].number, 8);
  EXPECT_EQ(rows[2].outcome, "ok");
  EXPECT_EQ(rows[2].hash.size(), 64u);
}

TEST_F(AuditTest, EveryFieldOfEveryRowIsCovered) {
  for (int row = 1; row <= 8; ++row) {
    for (const char* column : {"at", "actor", "source", "key_fingerprint", "action", "object", "outcome", "hash"}) {
      const bool number = std::string(column) == "at";
      const std::string where = " WHERE number = " + std::to_string(row);
      const std::string before = reader->execAndGet(std::string("SELECT ") + column + " FROM audit" + where).getString();
      tamper(std::string("UPDATE audit SET ") + column + " = " + column + (number ? " + 1" : " || 'x'") + where);
      EXPECT_EQ(broken(), row) << column;
      tamper(std::string("UPDATE audit SET ") + column + " = '" + before + "'" + where);
      ASSERT_EQ(broken(), std::nullopt);
    }
  }
}

TEST_F(AuditTest, MovingTextBetweenFieldsIsFound) {
  tamper("UPDATE audit SET action = action || object, object = '' WHERE number = 3");
  EXPECT_EQ(broken(), 3);
}

TEST_F(AuditTest, MissingRowsAreFound) {
  tamper("DELETE FROM audit WHERE number = 4");
  EXPECT_EQ(broken(), 4);
}
TEST_F(AuditTest, ACutTailIsFound) {
  tamper("DELETE FROM audit WHERE number >= 7");
  EXPECT_EQ(broken(), 7);
}
TEST_F(AuditTest, AnEmptiedTrailIsFound) {
  tamper("DELETE FROM audit");
  EXPECT_EQ(broken(), 1);
}
TEST_F(AuditTest, RenumberedRowsAreFound) {
  tamper("UPDATE audit SET number = 100 WHERE number = 8");
  EXPECT_EQ(broken(), 8);
}

TEST_F(AuditTest, TheStoreRefusesChangesToTheTrail) {
  for (const char* sql : {"UPDATE audit SET actor = 'eve'", "DELETE FROM audit"}) {
    EXPECT_TRUE(store->write_now([sql](SQLite::Database& db) -> Result<void> {
                       db.exec(sql);
                       return {};
                     }).has_error());
  }
  EXPECT_EQ(broken(), std::nullopt);
}

TEST_F(AuditTest, HostileTextIsStoredHarmless) {
  audit.note({"eve\x1b[2J\xff", Role::user, "x", ""}, "ssh.login", std::string(5000, 'a') + "\n", "no");
  settle();
  const AuditRow row = audit.tail(*reader, 1).at(0);
  EXPECT_EQ(row.actor, "eve\\x1b[2J\\xff");
  EXPECT_LE(row.object.size(), 512u);
  EXPECT_EQ(broken(), std::nullopt);
}

// Every byte of every field of the first, a middle and the last row; every bit of its numbers.
TEST_F(AuditTest, FlippingAnyByteOfAnyRowIsFound) {
  for (const int row : {1, 4, 8}) {
    const std::string where = " WHERE number = " + std::to_string(row);
    for (const std::string column : {"actor", "source", "key_fingerprint", "action", "object", "outcome", "hash"}) {
      const std::string before = reader->execAndGet("SELECT " + column + " FROM audit" + where).getString();
      for (std::size_t at = 0; at < before.size(); ++at) {
        for (const unsigned char flip : {0x01, 0x20, 0x80}) {
          std::string after = before;
          after[at] = static_cast<char>(static_cast<unsigned char>(after[at]) ^ flip);
          tamper("UPDATE audit SET " + column + " = CAST(x'" + hex_encode(after) + "' AS TEXT)" + where);
          ASSERT_EQ(broken(), row) << column << " byte " << at;
        }
      }
      tamper("UPDATE audit SET " + column + " = CAST(x'" + hex_encode(before) + "' AS TEXT)" + where);
    }
    const std::int64_t at = reader->execAndGet("SELECT at FROM audit" + where).getInt64();
    for (int bit = 0; bit < 63; ++bit) {
      tamper("UPDATE audit SET at = " + std::to_string(at ^ (std::int64_t{1} << bit)) + where);
      ASSERT_EQ(broken(), row) << "bit " << bit;
    }
    tamper("UPDATE audit SET at = " + std::to_string(at) + where);
    for (int bit = 0; bit < 62; ++bit) {
      const std::string other = std::to_string(std::int64_t{row} ^ (std::int64_t{1} << bit));
      if (reader->execAndGet("SELECT count(*) FROM audit WHERE number = " + other).getInt() > 0) continue;
      tamper("UPDATE audit SET number = " + other + where);
      ASSERT_TRUE(broken()) << "bit " << bit;
      tamper("UPDATE audit SET number = " + std::to_string(row) + " WHERE number = " + other);
    }
    ASSERT_FALSE(broken());
  }
}

TEST_F(AuditTest, AnInsertedRowIsFound) {
  tamper("INSERT INTO audit SELECT 9, at, actor, source, key_fingerprint, action, object, outcome, hash FROM audit WHERE number = 8");
  EXPECT_EQ(broken(), 9);
}

TEST_F(AuditTest, FiltersByWhoWhatAndWhen) {
  audit.note({"alice", Role::admin, "x", ""}, "key.add", "ada SHA256:new", "ok");
  audit.note({"alice", Role::admin, "x", ""}, "workspace.stop", "ada+nlp", "ok");
  audit.note({"adam", Role::user, "x", ""}, "ssh.login", "adam", "ok");
  audit.note({"alice", Role::admin, "x", ""}, "keys", "-", "ok");
  settle();
  EXPECT_EQ(audit.tail(*reader, 100, {.user = "ada"}).size(), 10U);
  EXPECT_EQ(audit.tail(*reader, 100, {.user = "alice"}).size(), 3U);
  EXPECT_EQ(audit.tail(*reader, 100, {.action = "key"}).size(), 1U);
  EXPECT_EQ(audit.tail(*reader, 100, {.user = "ada", .action = "ssh.login"}).size(), 8U);
  const Timestamp third = audit.find(*reader, 3)->at;
  EXPECT_EQ(audit.tail(*reader, 100, {.until = third}).size(), 2U);
  EXPECT_EQ(audit.tail(*reader, 100, {.since = third}).size(), 10U);
  std::int64_t next = 0;
  EXPECT_EQ(audit.after(*reader, 0, 3, {.user = "ada"}, next).back().number, 3);
  EXPECT_EQ(next, 3);
  EXPECT_EQ(audit.after(*reader, 8, 100, {.user = "ada"}, next).size(), 2U);
  EXPECT_EQ(next, audit.head(*reader));
  EXPECT_TRUE(audit.after(*reader, next, 100, {}, next).empty());
}

TEST_F(AuditTest, RetentionKeepsTheChainVerifiable) {
  const std::string third = audit.find(*reader, 3)->hash;
  EXPECT_EQ(run_coroutine(audit.cut(audit.find(*reader, 4)->at)).value(), 3U);
  EXPECT_EQ(run_coroutine(audit.cut(audit.find(*reader, 4)->at)).value(), 0U);
  AuditVerdict verdict = audit.verify(*reader);
  EXPECT_FALSE(verdict.first_broken);
  EXPECT_EQ(verdict.first, 4);
  EXPECT_EQ(verdict.head, 9);
  EXPECT_EQ(audit.tail(*reader, 1)[0].object, "rows to 3 hash " + third);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(run_coroutine(audit.cut(clock.now())).value(), 5U);  // never the newest row
  EXPECT_FALSE(broken());
  audit.note({"ada", Role::user, "x", ""}, "ssh.login", "ada", "ok");
  settle();
  EXPECT_FALSE(broken());
}

TEST_F(AuditTest, ACutThatIsNotOursIsFound) {
  const std::string third = audit.find(*reader, 3)->hash;
  tamper("INSERT INTO audit_cuts VALUES (3, '" + third + "', 1); DELETE FROM audit WHERE number <= 3");
  EXPECT_EQ(broken(), 4);  // no row of the chain tells of it
  ASSERT_TRUE(run_coroutine(audit.cut(audit.find(*reader, 6)->at)).has_value());
  EXPECT_FALSE(broken());
  tamper("DELETE FROM audit_cuts");
  EXPECT_TRUE(broken());
}

TEST_F(AuditTest, AFloodOfRefusalsIsCounted) {
  for (std::size_t i = 0; i < Audit::kMostRefusals + 50; ++i) audit.note_refusal({"", Role::user, "x", ""}, "ssh.login", "root", "unknown user");
  settle();
  EXPECT_EQ(audit.head(*reader), 8 + static_cast<std::int64_t>(Audit::kMostRefusals));
  clock.advance(std::chrono::minutes(1));
  audit.note_refusal({"", Role::user, "x", ""}, "ssh.login", "root", "unknown user");
  settle();
  const auto rows = audit.tail(*reader, 2);
  EXPECT_EQ(rows[0].object, "50 more");
  EXPECT_EQ(rows[1].actor, "-");
}

}  // namespace
}  // namespace berth::auth
