#include "auth/environments.hpp"

#include "tests/unit/auth/auth_fixture.hpp"

namespace berth::auth {
namespace {

class EnvironmentsTest : public AuthTest {
 protected:
  void SetUp() override {
    for (const char* name : {"ada", "grace", "eve"}) add_user(name);
  }
  Actor as(const std::string& name, Role role = Role::user) { return {name, role, "test", ""}; }
  Result<void> add(const std::string& who, const std::string& owner, const std::string& name, const std::string& lock) {
    EnvironmentRevision revision;
    revision.yaml = "dependencies: [x]\n";
    revision.lock = lock;
    revision.lock_hash = hex_encode(sha256(lock));
    revision.tree_hash = "tree of " + lock;
    revision.packages = 3;
    return run_coroutine(environments.add_revision(as(who), owner, name, revision));
  }
  EnvironmentRights rights(const std::string& owner, const std::string& name, const EnvironmentCaller& caller) {
    const auto found = environments.find(*reader, owner, name);
    return environment_rights(owner, found ? &*found : nullptr, caller);
  }
  Environments environments{*store, clock};
  const std::string team{kTeam};
};

TEST_F(EnvironmentsTest, TheFirstIsTheDefaultAndTheOthersAreNot) {
  ASSERT_TRUE(add("ada", "ada", "ml", "1"));
  ASSERT_TRUE(add("ada", "ada", "web", "2"));
  EXPECT_TRUE(environments.find(*reader, "ada", "ml")->is_default);
  EXPECT_FALSE(environments.find(*reader, "ada", "web")->is_default);
  ASSERT_TRUE(run_coroutine(environments.make_default(as("ada"), "ada", "ada", "web", true)));
  EXPECT_FALSE(environments.find(*reader, "ada", "ml")->is_default);
  ASSERT_TRUE(run_coroutine(environments.make_default(as("ada"), "ada", "ada", "web", false)));
  EXPECT_TRUE(environments.users(*reader) == std::vector<std::string>{"ada"});
  EXPECT_FALSE(environments.find(*reader, "ada", "web")->is_default);
}

TEST_F(EnvironmentsTest, SharingMovesItWithItsHistoryAndItsOwnerMaintainsIt) {
  ASSERT_TRUE(add("ada", "ada", "ml", "1"));
  ASSERT_TRUE(add("ada", "ada", "ml", "2"));
  EnvironmentRevision built;
  built.number = 2;
  built.tree_hash = "elsewhere";
  ASSERT_TRUE(run_coroutine(environments.share(as("ada"), "ada", "ml", built)));
  EXPECT_FALSE(environments.find(*reader, "ada", "ml"));
  const auto found = environments.find(*reader, team, "ml", "ada");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->maintainers, std::vector<std::string>{"ada"});
  EXPECT_TRUE(found->is_default) << "ada's shells go on beginning in it";
  EXPECT_EQ(found->tree_hash, "elsewhere");
  EXPECT_EQ(environments.revision(*reader, found->id, 1)->tree_hash, "") << "it was never built where the team's lie";
  EXPECT_EQ(environments.list(*reader, "grace").size(), 1u);
  // The name is taken now, and a stale share is refused.
  ASSERT_TRUE(add("grace", "grace", "ml", "3"));
  EXPECT_EQ(run_coroutine(environments.share(as("grace"), "grace", "ml", built)).error().kind, ErrorKind::conflict);
  built.number = 1;
  EXPECT_EQ(run_coroutine(environments.share(as("grace"), "grace", "ml", built)).error().kind, ErrorKind::conflict);
}

TEST_F(EnvironmentsTest, RightsAreTheSameForEveryAction) {
  ASSERT_TRUE(add("ada", "ada", "own", "1"));
  ASSERT_TRUE(add("ada", team, "ml", "2"));
  const EnvironmentCaller ada{"ada", false, false, true}, grace{"grace", false, false, true}, admin_{"boss", true, true, true}, auditor{"eye", false, true, true};
  EXPECT_TRUE(rights("ada", "own", ada).change);
  EXPECT_FALSE(rights("ada", "own", grace).see);
  EXPECT_TRUE(rights("ada", "own", auditor).see);
  EXPECT_FALSE(rights("ada", "own", auditor).change);
  EXPECT_TRUE(rights("ada", "own", admin_).change);
  EXPECT_TRUE(rights(team, "ml", grace).see);
  EXPECT_FALSE(rights(team, "ml", grace).change);
  EXPECT_TRUE(rights(team, "ml", ada).change);
  EXPECT_TRUE(rights(team, "ml", admin_).change);
  // One that is not there yet.
  EXPECT_TRUE(rights(team, "new", grace).change);
  EXPECT_FALSE(rights(team, "new", {"grace", false, false, false}).change);
  EXPECT_TRUE(rights("grace", "new", grace).change);
  EXPECT_FALSE(rights("ada", "new", grace).see);
}

TEST_F(EnvironmentsTest, WhoIsNoMaintainerAddsNoRevisionWhateverTheyPlanned) {
  ASSERT_TRUE(add("ada", team, "ml", "1"));
  EXPECT_EQ(add("grace", team, "ml", "2").error().kind, ErrorKind::denied);
  ASSERT_TRUE(run_coroutine(environments.set_maintainer(as("ada"), "ml", "grace", true)));
  ASSERT_TRUE(add("grace", team, "ml", "2"));
  ASSERT_TRUE(run_coroutine(environments.set_maintainer(as("ada"), "ml", "grace", false)));
  EXPECT_EQ(run_coroutine(environments.set_maintainer(as("ada"), "ml", "ada", false)).error().kind, ErrorKind::conflict) << "the last one";
  EXPECT_EQ(run_coroutine(environments.set_maintainer(as("ada"), "ml", "nobody", true)).error().kind, ErrorKind::not_found);
}

TEST_F(EnvironmentsTest, TheTeamsOutliveTheirMaintainersAndDefaultsGoWithTheirEnvironment) {
  ASSERT_TRUE(add("ada", team, "ml", "1"));
  ASSERT_TRUE(run_coroutine(environments.make_default(as("grace"), "grace", team, "ml", true)));
  const auto found = environments.find(*reader, team, "ml", "grace");
  EXPECT_TRUE(found->is_default);
  EXPECT_FALSE(environments.find(*reader, team, "ml", "ada")->is_default);
  EXPECT_EQ(environments.default_users(*reader, found->id), std::vector<std::string>{"grace"});
  ASSERT_TRUE(run_coroutine(directory.remove_user(admin, "ada")));
  EXPECT_TRUE(environments.find(*reader, team, "ml")->maintainers.empty());
  ASSERT_TRUE(run_coroutine(environments.remove(admin, team, "ml")));
  EXPECT_TRUE(environments.users(*reader).empty());
}

TEST_F(EnvironmentsTest, TheOneThatWasLookedAtTheLongestAgoIsDueFirst) {
  ASSERT_TRUE(add("ada", "ada", "a", "1"));
  clock.advance(std::chrono::hours(1));
  ASSERT_TRUE(add("ada", "ada", "b", "2"));
  EXPECT_FALSE(environments.due(*reader, clock.now() - std::chrono::hours(2)));
  clock.advance(std::chrono::hours(24));
  EXPECT_EQ(environments.due(*reader, clock.now() - std::chrono::hours(2))->name, "a");
  ASSERT_TRUE(run_coroutine(environments.set_verified(admin, "ada", "a", 1, {{}, "changed", "changed lib/x"})));
  EXPECT_EQ(environments.find(*reader, "ada", "a")->verification.result, "changed");
  EXPECT_EQ(environments.due(*reader, clock.now() - std::chrono::hours(2))->name, "b");
  ASSERT_TRUE(run_coroutine(environments.set_verified(admin, "ada", "b", 1, {{}, "ok", ""})));
  EXPECT_FALSE(environments.due(*reader, clock.now() - std::chrono::hours(2)));
}

TEST_F(EnvironmentsTest, WhatIsNotAsItWasIsToldToThoseWhoCanMendIt) {
  ASSERT_TRUE(add("ada", "ada", "own", "1"));
  ASSERT_TRUE(add("ada", team, "ml", "2"));
  ASSERT_TRUE(add("ada", "ada", "good", "3"));
  for (const auto& [owner, name, result] : {std::tuple("ada", "own", "failed"), std::tuple("team", "ml", "changed"), std::tuple("ada", "good", "ok")}) {
    ASSERT_TRUE(run_coroutine(environments.set_verified(admin, owner, name, 1, {{}, result, "why"})));
  }
  const auto names = [&](const char* user) {
    std::string all;
    for (const auto& one : failed_verifications(*reader, user)) all += one.name + " " + one.verification.result + ";";
    return all;
  };
  EXPECT_EQ(names("ada"), "own failed;team/ml changed;");
  EXPECT_EQ(names("grace"), "") << "who cannot change it";
  ASSERT_TRUE(run_coroutine(environments.set_maintainer(admin, "ml", "grace", true)));
  EXPECT_EQ(names("grace"), "team/ml changed;");
  ASSERT_TRUE(add("ada", "ada", "own", "4"));
  EXPECT_EQ(names("ada"), "team/ml changed;") << "another revision is another matter";
}

// What 0014 does to a store from before it.
class EnvironmentsMigration : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto all = migrations();
    const auto before = Store::open(dir_.path() / "berth.db", all.subspan(0, 13)).value();
    ASSERT_TRUE(before->write_now([](SQLite::Database& db) -> Result<void> {
      db.exec("INSERT INTO users (id, name, role, created_at) VALUES (7, 'ada', 'user', 1)");
      db.exec("INSERT INTO environments (id, user_id, name, revision, is_default, created_at, updated_at) VALUES (3, 7, 'ml', 2, 1, 1, 2), (5, 7, 'web', 1, 0, 1, 2)");
      for (const char* row : {"(3, 1, 'y', 'l', 'h1', 't', 1, 1, 1, 'ada')", "(3, 2, 'y', 'l', 'h2', 't', 1, 1, 1, 'ada')", "(5, 1, 'y', 'l', 'h3', 't', 1, 1, 1, 'ada')"}) {
        db.exec(std::string("INSERT INTO environment_revisions VALUES ") + row);
      }
      return {};
    }));
  }
  std::unique_ptr<Store> open() { return Store::open(dir_.path() / "berth.db", migrations()).value(); }

 private:
  const TempDir dir_;
};

TEST_F(EnvironmentsMigration, KeepsEnvironmentsRevisionsAndDefaults) {
  const auto store = open();
  const auto reader = store->open_reader();
  const FakeClock clock;
  const Environments environments(*store, clock);
  const auto list = environments.list(*reader, "ada");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_TRUE(list[0].is_default && list[0].name == "ml" && list[0].revision == 2 && list[0].revisions == 2 && list[0].lock_hash == "h2");
  EXPECT_FALSE(list[1].is_default);
}

// After an upgrade the berthd of the release before serves its connections on the migrated store. These are its statements.
TEST_F(EnvironmentsMigration, TheReleaseBeforeGoesOnWithTheStore) {
  const auto store = open();
  ASSERT_TRUE(store->write_now([](SQLite::Database& db) -> Result<void> {
    db.exec("UPDATE environments SET user_id = NULL WHERE id = 5");  // the new one has shared it
    db.exec("INSERT INTO environments (user_id, name, revision, is_default, created_at, updated_at) VALUES (7, 'old', 0, 0, 3, 3)");
    db.exec("INSERT INTO environment_revisions (environment_id, number, yaml, lock, lock_hash, tree_hash, packages, size_bytes, created_at, created_by) "
            "SELECT id, 1, 'y', 'l', 'h4', 't', 1, 1, 3, 'ada' FROM environments WHERE name = 'old'");
    db.exec("UPDATE environments SET revision = 1, updated_at = 3 WHERE name = 'old'");
    db.exec("UPDATE environments SET is_default = 0 WHERE user_id = 7");
    db.exec("UPDATE environments SET is_default = 1 WHERE name = 'old'");
    return {};
  }));
  const auto reader = store->open_reader();
  SQLite::Statement row(*reader,
                        "SELECT e.name, e.is_default FROM environments e JOIN users u ON u.id = e.user_id JOIN environment_revisions r ON r.environment_id = e.id AND "
                        "r.number = e.revision WHERE u.name = 'ada' ORDER BY e.name");
  std::string seen;
  while (row.executeStep()) seen += row.getColumn(0).getString() + (row.getColumn(1).getInt() == 1 ? "* " : " ");
  EXPECT_EQ(seen, "ml old* ");
  const FakeClock clock;
  const Environments environments(*store, clock);
  EXPECT_TRUE(environments.find(*reader, "ada", "old")->is_default);
  EXPECT_TRUE(environments.find(*reader, kTeam, "web"));
}

}  // namespace
}  // namespace berth::auth
