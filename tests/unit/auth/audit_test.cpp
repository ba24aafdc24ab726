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
  // What somebody who can write the file does.
  void tamper(const std::string& sql) {
    ASSERT_TRUE(store->write_now([sql](SQLite::Database& db) -> Result<void> {
                       db.exec("DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_no_delete; " + sql);
                       return {};
                     }).has_value());
  }
};

TEST_F(AuditTest, TheChainIsWhole) {
  EXPECT_EQ(audit.verify(*reader), std::nullopt);
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
      EXPECT_EQ(audit.verify(*reader), row) << column;
      tamper(std::string("UPDATE audit SET ") + column + " = '" + before + "'" + where);
      ASSERT_EQ(audit.verify(*reader), std::nullopt);
    }
  }
}

TEST_F(AuditTest, MovingTextBetweenFieldsIsFound) {
  tamper("UPDATE audit SET action = action || object, object = '' WHERE number = 3");
  EXPECT_EQ(audit.verify(*reader), 3);
}

TEST_F(AuditTest, MissingRowsAreFound) {
  tamper("DELETE FROM audit WHERE number = 4");
  EXPECT_EQ(audit.verify(*reader), 4);
}
TEST_F(AuditTest, ACutTailIsFound) {
  tamper("DELETE FROM audit WHERE number >= 7");
  EXPECT_EQ(audit.verify(*reader), 7);
}
TEST_F(AuditTest, AnEmptiedTrailIsFound) {
  tamper("DELETE FROM audit");
  EXPECT_EQ(audit.verify(*reader), 1);
}
TEST_F(AuditTest, RenumberedRowsAreFound) {
  tamper("UPDATE audit SET number = 100 WHERE number = 8");
  EXPECT_EQ(audit.verify(*reader), 8);
}

TEST_F(AuditTest, TheStoreRefusesChangesToTheTrail) {
  for (const char* sql : {"UPDATE audit SET actor = 'eve'", "DELETE FROM audit"}) {
    EXPECT_TRUE(store->write_now([sql](SQLite::Database& db) -> Result<void> {
                       db.exec(sql);
                       return {};
                     }).has_error());
  }
  EXPECT_EQ(audit.verify(*reader), std::nullopt);
}

TEST_F(AuditTest, HostileTextIsStoredHarmless) {
  audit.note({"eve\x1b[2J\xff", Role::user, "x", ""}, "ssh.login", std::string(5000, 'a') + "\n", "no");
  settle();
  const AuditRow row = audit.tail(*reader, 1).at(0);
  EXPECT_EQ(row.actor, "eve\\x1b[2J\\xff");
  EXPECT_LE(row.object.size(), 512u);
  EXPECT_EQ(audit.verify(*reader), std::nullopt);
}

}  // namespace
}  // namespace berth::auth
