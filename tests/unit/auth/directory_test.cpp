#include <sqlite3.h>

#include "auth/rows.hpp"
#include "auth_fixture.hpp"

namespace berth::auth {
namespace {

class DirectoryTest : public AuthTest {
 protected:
  // By statements that are prepared for it, and by those that a lane has kept since the beginning.
  LoginRefusal login(std::string_view user, const std::string& blob) {
    const LoginRefusal refusal = directory.decide_login(*reader, user, blob).refusal;
    EXPECT_EQ(directory.decide_login(*lane_reader, user, blob).refusal, refusal);
    EXPECT_TRUE(nothing_is_read());
    return refusal;
  }
  // No statement stays in its transaction: that would show the store as it was to all that this connection reads later.
  bool nothing_is_read() const { return sqlite3_txn_state(lane_reader->getHandle(), nullptr) == SQLITE_TXN_NONE; }
  void set_disabled(const std::string& name, bool disabled) { ASSERT_TRUE(run_coroutine(directory.set_disabled(admin, name, disabled)).has_value()); }

  std::unique_ptr<SQLite::Database> lane_reader = store->open_reader();
  KeptStatements kept{*lane_reader};
};

TEST_F(DirectoryTest, DecidesLogins) {
  add_user("ada");
  add_user("bob");
  const Key ada = add_key("ada", 1), bob = add_key("bob", 2);
  EXPECT_EQ(login("ada", ada.blob), LoginRefusal::none);
  EXPECT_EQ(login("ada", bob.blob), LoginRefusal::unknown_key);
  EXPECT_EQ(login("ada", "garbage"), LoginRefusal::unknown_key);
  EXPECT_EQ(login("ada", ""), LoginRefusal::unknown_key);
  EXPECT_EQ(login("eve", ada.blob), LoginRefusal::unknown_user);
  EXPECT_EQ(login("", ""), LoginRefusal::unknown_user);
  EXPECT_EQ(login("ada'; --", ada.blob), LoginRefusal::unknown_user);
  set_disabled("ada", true);
  EXPECT_EQ(login("ada", ada.blob), LoginRefusal::disabled_user);
  EXPECT_EQ(login("ada", bob.blob), LoginRefusal::unknown_key);
  set_disabled("ada", false);
  EXPECT_EQ(login("ada", ada.blob), LoginRefusal::none);
}

TEST_F(DirectoryTest, WhatALaneKeepsSeesEachChangeAtOnce) {
  add_user("ada");
  EXPECT_FALSE(directory.find_user(*lane_reader, "eve"));
  EXPECT_TRUE(directory.find_user(*lane_reader, "ada")->forwards.empty());
  ForwardRules none;
  none.kinds.emplace();
  ASSERT_TRUE(run_coroutine(directory.set_forwards(admin, "ada", none)).has_value());
  EXPECT_EQ(directory.find_user(*lane_reader, "ada")->forwards.kinds, none.kinds);
  for (int seed = 1; seed <= 3; ++seed) {
    const Key key = add_key("ada", seed);
    EXPECT_EQ(directory.decide_login(*lane_reader, "ada", key.blob).refusal, LoginRefusal::none);
    ASSERT_TRUE(run_coroutine(directory.revoke_key(admin, key.fingerprint)).has_value());
    EXPECT_EQ(directory.decide_login(*lane_reader, "ada", key.blob).refusal, LoginRefusal::revoked_key);
  }
  EXPECT_TRUE(nothing_is_read());
  ASSERT_TRUE(run_coroutine(directory.remove_user(admin, "ada")).has_value());
  EXPECT_FALSE(directory.find_user(*lane_reader, "ada"));
}

// What comes in between is an error of this one look, not of the next: the statement is ready again, and holds nothing open.
TEST_F(DirectoryTest, WhatALaneKeepsOutlivesAFailedLook) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  EXPECT_TRUE(directory.decide_login(*lane_reader, "ada", key.blob).allowed());
  sqlite3_progress_handler(lane_reader->getHandle(), 1, [](void*) { return 1; }, nullptr);
  EXPECT_THROW(directory.decide_login(*lane_reader, "ada", key.blob), SQLite::Exception);
  EXPECT_THROW(directory.find_user(*lane_reader, "ada"), SQLite::Exception);
  sqlite3_progress_handler(lane_reader->getHandle(), 0, nullptr, nullptr);
  EXPECT_TRUE(nothing_is_read());
  ASSERT_TRUE(run_coroutine(directory.revoke_key(admin, key.fingerprint)).has_value());
  EXPECT_EQ(directory.decide_login(*lane_reader, "ada", key.blob).refusal, LoginRefusal::revoked_key);
  EXPECT_TRUE(directory.find_user(*lane_reader, "ada"));
}

TEST_F(DirectoryTest, NeverTellsAboutAnothersKey) {
  add_user("ada");
  add_user("bob");
  const Key bob = add_key("bob", 2);
  EXPECT_EQ(directory.decide_login(*reader, "ada", bob.blob).key.user, "");
  EXPECT_EQ(directory.decide_login(*reader, "eve", bob.blob).key.fingerprint, "");
}

TEST_F(DirectoryTest, KeysExpireAndAreRevoked) {
  add_user("ada");
  const Key key = add_key("ada", 1, clock.now() + std::chrono::hours(1));
  EXPECT_EQ(login("ada", key.blob), LoginRefusal::none);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(login("ada", key.blob), LoginRefusal::expired_key);
  EXPECT_EQ(directory.judge(directory.list_keys(*reader, "ada").at(0)).state, KeyState::expired);
  ASSERT_TRUE(run_coroutine(directory.revoke_key(admin, key.fingerprint)).has_value());
  EXPECT_EQ(login("ada", key.blob), LoginRefusal::revoked_key);
  EXPECT_EQ(run_coroutine(directory.revoke_key(admin, key.fingerprint)).error().kind, ErrorKind::conflict);
  EXPECT_EQ(run_coroutine(directory.revoke_key(admin, "SHA256:none")).error().kind, ErrorKind::not_found);
}

TEST_F(DirectoryTest, AKeyHasOneUserAtATime) {
  add_user("ada");
  add_user("bob");
  const Key key = add_key("ada", 1);
  const auto to_bob = run_coroutine(directory.add_key(admin, "bob", key_line(1), {}));
  EXPECT_EQ(to_bob.error().kind, ErrorKind::conflict);
  EXPECT_NE(to_bob.error().message.find("belongs to user 'ada'"), std::string::npos);
  const auto by_bob = run_coroutine(directory.add_key({"bob", Role::user, "x", ""}, "bob", key_line(1), {}));
  EXPECT_EQ(by_bob.error().kind, ErrorKind::conflict);
  EXPECT_EQ(by_bob.error().message.find("ada"), std::string::npos);
  EXPECT_EQ(run_coroutine(directory.add_key(admin, "ada", key_line(1), {})).error().kind, ErrorKind::conflict);
  ASSERT_TRUE(run_coroutine(directory.revoke_key(admin, key.fingerprint)).has_value());
  EXPECT_EQ(add_key("bob", 1).user, "bob");
  EXPECT_EQ(login("bob", key.blob), LoginRefusal::none);
  EXPECT_EQ(login("ada", key.blob), LoginRefusal::unknown_key);
  EXPECT_EQ(directory.find_key(*reader, key.fingerprint)->user, "bob");
}

TEST_F(DirectoryTest, OnlyAdminsChangeOthers) {
  add_user("ada");
  add_user("bob");
  const Key key = add_key("bob", 2);
  const Actor ada{"ada", Role::user, "127.0.0.1", ""};
  EXPECT_EQ(run_coroutine(directory.add_user(ada, "eve", Role::admin)).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(directory.set_role(ada, "ada", Role::admin)).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(directory.set_disabled(ada, "bob", true)).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(directory.remove_user(ada, "bob")).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(directory.add_key(ada, "bob", key_line(3), {})).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(directory.revoke_key(ada, key.fingerprint)).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(run_coroutine(directory.add_key(ada, "ada", key_line(4), {})).has_value());
}

TEST_F(DirectoryTest, UsersComeAndGo) {
  add_user("bob", Role::auditor);
  add_user("ada");
  add_key("bob", 1);
  const auto users = directory.list_users(*reader, {}).rows;
  ASSERT_EQ(users.size(), 2u);
  EXPECT_EQ(users[0].user.name, "ada");
  EXPECT_EQ(users[1].user.role, Role::auditor);
  EXPECT_EQ(users[1].keys, 1);
  EXPECT_EQ(directory.counts(*reader).users, 2);
  EXPECT_EQ(directory.counts(*reader).keys, 1);
  EXPECT_EQ(run_coroutine(directory.add_user(admin, "ada", Role::user)).error().kind, ErrorKind::conflict);
  ASSERT_TRUE(run_coroutine(directory.set_role(admin, "ada", Role::admin)).has_value());
  EXPECT_EQ(directory.find_user(*reader, "ada")->role, Role::admin);
  ASSERT_TRUE(run_coroutine(directory.remove_user(admin, "bob")).has_value());
  EXPECT_FALSE(directory.find_user(*reader, "bob"));
  EXPECT_TRUE(directory.find_keys(*reader, {}).rows.empty());
  for (auto result : {run_coroutine(directory.remove_user(admin, "bob")), run_coroutine(directory.set_role(admin, "bob", Role::user)),
                      run_coroutine(directory.set_disabled(admin, "bob", true))}) {
    EXPECT_EQ(result.error().kind, ErrorKind::not_found);
  }
  EXPECT_EQ(run_coroutine(directory.add_key(admin, "bob", key_line(1), {})).error().message, "there is no user 'bob'");
  add_user("bob");
  EXPECT_EQ(login("bob", directory.find_keys(*reader, {}).rows.empty() ? "" : "x"), LoginRefusal::unknown_key);
}

TEST_F(DirectoryTest, EveryChangeIsAudited) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  run_coroutine(directory.revoke_key(admin, key.fingerprint));
  run_coroutine(directory.set_disabled(admin, "ada", true));
  run_coroutine(directory.set_role(admin, "ada", Role::auditor));
  run_coroutine(directory.remove_user(admin, "ada"));
  std::vector<std::string> actions;
  for (const AuditRow& row : audit.tail(*reader, 100)) actions.push_back(row.action + " " + row.object);
  EXPECT_EQ(actions, (std::vector<std::string>{"user.add ada user", "key.add ada " + key.fingerprint, "key.revoke ada " + key.fingerprint, "user.disable ada",
                                               "user.role ada auditor", "user.remove ada"}));
  EXPECT_FALSE(audit.verify(*reader).first_broken);
}

TEST_F(DirectoryTest, ThePolicyLimitsTheLifeOfKeys) {
  add_user("ada");
  policy.max_age = std::chrono::hours(24);
  Directory strict(*store, clock, policy);
  const auto key = run_coroutine(strict.add_key(admin, "ada", key_line(1), {}));
  EXPECT_EQ(strict.judge(*key).ends_at, clock.now() + std::chrono::hours(24));
  EXPECT_NE(run_coroutine(strict.add_key(admin, "ada", key_line(2), clock.now() + std::chrono::hours(25))).error().message.find("at most 1d"), std::string::npos);
  EXPECT_TRUE(run_coroutine(strict.add_key(admin, "ada", key_line(3), clock.now() + std::chrono::hours(1))).has_value());
  EXPECT_EQ(run_coroutine(directory.add_key(admin, "ada", key_line(4), clock.now())).error().kind, ErrorKind::invalid);
}

TEST_F(DirectoryTest, UseIsWrittenAtMostOnceAMinute) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  const auto used = [&] {
    settle();
    return *directory.find_key(*reader, key.fingerprint);
  };
  directory.note_key_use(key.id, "127.0.0.1:1000");
  const Timestamp first = clock.now();
  EXPECT_EQ(used().last_used_at, first);
  EXPECT_EQ(used().last_used_from, "127.0.0.1:1000");
  clock.advance(std::chrono::seconds(59));
  directory.note_key_use(key.id, "127.0.0.1:1001");
  EXPECT_EQ(used().last_used_at, first);
  clock.advance(std::chrono::seconds(1));
  directory.note_key_use(key.id, "127.0.0.1:1002");
  EXPECT_EQ(used().last_used_at, clock.now());
}

TEST(UserName, Rules) {
  for (const char* name : {"ada", "a", "ada_l-2", "abcdefghijklmnopqrstuvwxyz012345"}) EXPECT_TRUE(check_user_name(name).has_value()) << name;
  for (const char* name : {"", "Ada", "2a", "-a", "_a", "a.b", "a+b", "a b", "root", "daemon", "www-data", "systemd-network", "berth", "admin-socket",
                           "abcdefghijklmnopqrstuvwxyz0123456", "ad\xc3\xa4", "a/b", "a\n"}) {
    EXPECT_TRUE(check_user_name(name).has_error()) << name;
  }
}

// 300,000 keys: a login is a few look-ups by index and never a scan, which is what keeps it at microseconds.
TEST_F(DirectoryTest, LoginLooksUpByIndex) {
  SQLite::Statement plan(*reader, std::string("EXPLAIN QUERY PLAN ") + kLoginSql);
  std::string steps;
  while (plan.executeStep()) steps += plan.getColumn(3).getString() + "\n";
  EXPECT_NE(steps.find("SEARCH u USING INTEGER PRIMARY KEY"), std::string::npos) << steps;
  EXPECT_NE(steps.find("SEARCH k USING INTEGER PRIMARY KEY"), std::string::npos) << steps;
  EXPECT_NE(steps.find("SEARCH keys USING COVERING INDEX keys_by_fingerprint"), std::string::npos) << steps;
  for (const char* scan : {"SCAN keys", "SCAN users", "SCAN u\n", "SCAN k\n"}) EXPECT_EQ(steps.find(scan), std::string::npos) << steps;
}

}  // namespace
}  // namespace berth::auth
