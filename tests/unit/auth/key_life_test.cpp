// Rotation, removal, exceptions, use, and what the clock does.
#include "auth/campaigns.hpp"
#include "auth/key_clock.hpp"
#include "auth/key_notices.hpp"
#include "auth/refused_uses.hpp"
#include "auth/rows.hpp"
#include "auth_fixture.hpp"

namespace berth::auth {
namespace {
using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;

class KeyLifeTest : public AuthTest {
 protected:
  Campaigns campaigns{*store, clock, directory};
  KeyClock key_clock{*store, clock, directory};

  Actor actor(const std::string& user, const Key& key) { return {user, Role::user, "198.51.100.7:5000", key.fingerprint}; }
  Result<Rotated> rotate(const Actor& by, const std::string& user, int seed, Rotation rotation = {}) {
    rotation.user = user;
    rotation.line = key_line(seed);
    return run_coroutine(directory.rotate_key(by, std::move(rotation)));
  }
  LoginRefusal login(const Key& key) { return directory.decide_login(*reader, key.user, key.blob).refusal; }
  Key now_of(const Key& key) { return *directory.find_key(*reader, key.fingerprint); }
  std::vector<std::string> due() {
    std::vector<std::string> prints;
    for (const Key& key : run_coroutine(key_clock.run_due()).value()) prints.push_back(key.fingerprint);
    return prints;
  }
  std::string last_audit() {
    settle();
    const AuditRow row = audit.tail(*reader, 1).at(0);
    return row.actor + " " + row.action + " " + row.object + " " + row.outcome;
  }
};

TEST_F(KeyLifeTest, RotationWithGrace) {
  add_user("ada");
  const Key old = add_key("ada", 1);
  const auto rotated = rotate(admin, "ada", 2);
  ASSERT_TRUE(rotated.has_value()) << rotated.error().message;
  ASSERT_EQ(rotated->superseded.size(), 1u);
  EXPECT_EQ(rotated->superseded[0].successor, rotated->key.fingerprint);
  EXPECT_EQ(login(old), LoginRefusal::none);
  EXPECT_EQ(login(rotated->key), LoginRefusal::none);
  EXPECT_EQ(directory.judge(now_of(old)).state, KeyState::superseded);
  const auto notices = notices_for(*reader, directory, campaigns, "ada", old.fingerprint, "ssh box", clock.now());
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_TRUE(notices[0].current && is_said_at_login(notices[0]));
  EXPECT_EQ(notices[0].successor, rotated->key.fingerprint);
  EXPECT_NE(notices[0].text.find(rotated->key.fingerprint), std::string::npos);
  EXPECT_TRUE(!is_said_at_login(notices_for(*reader, directory, campaigns, "ada", rotated->key.fingerprint, "ssh box", clock.now()).at(0)));
  clock.advance(days(7));
  EXPECT_EQ(login(old), LoginRefusal::expired_key);
  EXPECT_EQ(login(rotated->key), LoginRefusal::none);
}

TEST_F(KeyLifeTest, WhichKeyARotationReplaces) {
  add_user("ada");
  EXPECT_EQ(rotate(admin, "ada", 1).error().kind, ErrorKind::conflict);  // nothing to replace
  const Key first = add_key("ada", 1), second = add_key("ada", 2);
  const auto unclear = rotate(admin, "ada", 3);
  ASSERT_TRUE(unclear.has_error());
  EXPECT_NE(unclear.error().message.find(second.fingerprint), std::string::npos);
  EXPECT_FALSE(directory.find_key(*reader, fingerprint_of(parse_public_key(key_line(3), policy)->blob)));  // nothing was changed
  EXPECT_EQ(rotate(admin, "ada", 3, {.replaces = "SHA256:none"}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(rotate(admin, "ada", 3, {.replaces = second.fingerprint})->superseded.at(0).fingerprint, second.fingerprint);
  // Of several keys, the one that the user came with.
  EXPECT_EQ(rotate(actor("ada", first), "ada", 4)->superseded.at(0).fingerprint, first.fingerprint);
  EXPECT_EQ(rotate(admin, "ada", 5, {.replaces = "all"})->superseded.size(), 2u);
  EXPECT_EQ(rotate(admin, "nobody", 6).error().kind, ErrorKind::not_found);
}

TEST_F(KeyLifeTest, GraceIsLimitedForUsersOnly) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  EXPECT_EQ(rotate(actor("ada", key), "ada", 2, {.grace = days(8)}).error().kind, ErrorKind::invalid);
  const auto now = rotate(admin, "ada", 2, {.grace = seconds(0)});
  EXPECT_EQ(login(key), LoginRefusal::expired_key);
  EXPECT_EQ(directory.decide_login(*reader, "ada", key.blob).why(), "key was replaced and its grace is over");
  EXPECT_TRUE(rotate(admin, "ada", 3, {.grace = days(100)}).has_value());
}

TEST_F(KeyLifeTest, RetireOnFirstUse) {
  add_user("ada");
  const Key old = add_key("ada", 1);
  const auto rotated = rotate(admin, "ada", 2, {.retire_on_first_use = true});
  EXPECT_TRUE(directory.decide_login(*reader, "ada", rotated->key.blob).key.retires_older);
  EXPECT_EQ(login(old), LoginRefusal::none);
  const auto retired = run_coroutine(directory.retire_older(actor("ada", rotated->key), rotated->key.id));
  ASSERT_EQ(retired->size(), 1u);
  EXPECT_EQ(login(old), LoginRefusal::expired_key);
  EXPECT_FALSE(now_of(rotated->key).retires_older);
  EXPECT_EQ(last_audit(), "ada key.retire ada " + old.fingerprint + " by " + rotated->key.fingerprint + " ok");
  EXPECT_TRUE(run_coroutine(directory.retire_older(actor("ada", rotated->key), rotated->key.id))->empty());
}

TEST_F(KeyLifeTest, NobodyLocksThemselvesOut) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  const Actor ada = actor("ada", key);
  EXPECT_EQ(run_coroutine(directory.revoke_key(ada, key.fingerprint)).error().kind, ErrorKind::conflict);
  const auto rotated = rotate(ada, "ada", 2);
  // What is left would be in its grace only.
  EXPECT_EQ(run_coroutine(directory.revoke_key(ada, rotated->key.fingerprint)).error().kind, ErrorKind::conflict);
  EXPECT_TRUE(run_coroutine(directory.revoke_key(ada, key.fingerprint)).has_value());
  EXPECT_TRUE(run_coroutine(directory.revoke_key(admin, rotated->key.fingerprint)).has_value());
}

TEST_F(KeyLifeTest, UsersCannotReviveARevokedKey) {
  add_user("ada");
  const Key first = add_key("ada", 1), second = add_key("ada", 2);
  const Actor ada = actor("ada", first);
  ASSERT_TRUE(run_coroutine(directory.revoke_key(ada, second.fingerprint)).has_value());
  EXPECT_NE(run_coroutine(directory.add_key(ada, "ada", key_line(2), {})).error().message.find("was revoked"), std::string::npos);
  EXPECT_TRUE(rotate(ada, "ada", 2).has_error());
  EXPECT_TRUE(run_coroutine(directory.add_key(admin, "ada", key_line(2), {})).has_value());
}

TEST_F(KeyLifeTest, ThePolicySaysWhatUsersMayDo) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  add_key("ada", 2);
  policy.self_service = {"list"};
  Directory strict(*store, clock, policy);
  const Actor ada = actor("ada", key);
  EXPECT_EQ(run_coroutine(strict.add_key(ada, "ada", key_line(3), {})).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(strict.rotate_key(ada, {"ada", key_line(3)})).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(strict.revoke_key(ada, key.fingerprint)).error().kind, ErrorKind::denied);
  EXPECT_TRUE(run_coroutine(strict.add_key(admin, "ada", key_line(3), {})).has_value());
}

TEST_F(KeyLifeTest, SoManyKeysAndNoMore) {
  add_user("ada");
  policy.max_per_user = 2;
  Directory strict(*store, clock, policy);
  ASSERT_TRUE(run_coroutine(strict.add_key(admin, "ada", key_line(1), {})).has_value());
  ASSERT_TRUE(run_coroutine(strict.add_key(admin, "ada", key_line(2), {})).has_value());
  EXPECT_EQ(run_coroutine(strict.add_key(admin, "ada", key_line(3), {})).error().kind, ErrorKind::conflict);
  EXPECT_EQ(strict.list_keys(*reader, "ada").size(), 2u);
  EXPECT_TRUE(run_coroutine(strict.rotate_key(admin, {"ada", key_line(4), directory.list_keys(*reader, "ada")[0].fingerprint})).has_value());
  KeyExceptions more;
  more.max_per_user = 0;
  ASSERT_TRUE(run_coroutine(strict.set_key_exceptions(admin, "ada", more)).has_value());
  EXPECT_TRUE(run_coroutine(strict.add_key(admin, "ada", key_line(5), {})).has_value());
}

TEST_F(KeyLifeTest, ExceptionsAreListedAndAudited) {
  add_user("ada");
  add_user("bob");
  const Key key = add_key("ada", 1);
  KeyExceptions exceptions;
  exceptions.max_age = days(30);
  exceptions.reason = "test";
  EXPECT_EQ(run_coroutine(directory.set_key_exceptions(actor("ada", key), "ada", exceptions)).error().kind, ErrorKind::denied);
  ASSERT_TRUE(run_coroutine(directory.set_key_exceptions(admin, "ada", exceptions)).has_value());
  EXPECT_NE(last_audit().find("admin-socket user.except ada {\"max_age_s\":2592000"), std::string::npos) << last_audit();
  const auto listed = directory.list_users(*reader, {.with_exceptions = true}).rows;
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].user.key_exceptions.set_by, "admin-socket");
  EXPECT_EQ(directory.judge(now_of(key)).ends_at, key.added_at + days(30));
  clock.advance(days(30));
  EXPECT_EQ(login(key), LoginRefusal::expired_key);
  ASSERT_TRUE(run_coroutine(directory.set_key_exceptions(admin, "ada", std::nullopt)).has_value());
  EXPECT_EQ(login(key), LoginRefusal::none);
  EXPECT_EQ(last_audit(), "admin-socket user.except ada none ok");
}

TEST_F(KeyLifeTest, PagesOfUsersAndKeys) {
  for (const char* name : {"ann", "bea", "cat", "dan"}) {
    add_user(name);
    add_key(name, name[0]);
  }
  auto page = directory.list_users(*reader, {.limit = 3});
  EXPECT_EQ(page.rows.size(), 3u);
  EXPECT_EQ(page.next, "cat");
  page = directory.list_users(*reader, {.after = page.next, .limit = 3});
  ASSERT_EQ(page.rows.size(), 1u);
  EXPECT_EQ(page.rows[0].keys, 1);
  EXPECT_EQ(page.next, "");
  EXPECT_EQ(directory.list_users(*reader, {.q = "an"}).rows.size(), 2u);
  auto keys = directory.find_keys(*reader, {.limit = 3});
  EXPECT_EQ(keys.rows.size(), 3u);
  keys = directory.find_keys(*reader, {.after = keys.next, .limit = 3});
  EXPECT_EQ(keys.rows.size(), 1u);
  EXPECT_EQ(keys.next, 0);
  EXPECT_EQ(directory.find_keys(*reader, {.q = "bea"}).rows.size(), 1u);
  run_coroutine(directory.revoke_key(admin, keys.rows[0].fingerprint));
  EXPECT_EQ(directory.find_keys(*reader, {.state = KeyState::revoked}).rows.at(0).user, "dan");
  EXPECT_EQ(directory.find_keys(*reader, {.state = KeyState::active}).rows.size(), 3u);
}

TEST_F(KeyLifeTest, UseIsCountedByAddressAndDay) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  for (const char* from : {"192.0.2.1:1", "192.0.2.1:2", "[2001:db8::1]:9", "192.0.2.1:3"}) directory.note_key_use(key.id, from);
  clock.advance(days(29));
  directory.note_key_use(key.id, "192.0.2.9:1");
  settle();
  KeyUses uses = directory.uses_of(*reader, key.id);
  EXPECT_EQ(uses.uses, 5);
  ASSERT_EQ(uses.sources.size(), 3u);
  EXPECT_EQ(uses.sources[0].address, "192.0.2.9");
  clock.advance(days(1));
  EXPECT_EQ(directory.uses_of(*reader, key.id).uses, 1);
  for (int i = 0; i < 200; ++i) directory.note_key_use(key.id, "198.51.100." + std::to_string(i) + ":1");
  settle();
  uses = directory.uses_of(*reader, key.id);
  EXPECT_EQ(uses.uses, 201);
  EXPECT_LE(uses.sources.size(), 66u);
}

TEST_F(KeyLifeTest, TheClockEndsKeysOnce) {
  add_user("ada");
  EXPECT_TRUE(due().empty());  // the clock begins here
  const Key soon = add_key("ada", 1, clock.now() + hours(1)), later = add_key("ada", 2, clock.now() + hours(5));
  add_key("ada", 3);
  EXPECT_EQ(key_clock.next(*reader), clock.now() + hours(1));
  EXPECT_TRUE(due().empty());
  clock.advance(hours(1));
  EXPECT_EQ(due(), std::vector{soon.fingerprint});
  EXPECT_EQ(last_audit(), "berthd key.expire ada " + soon.fingerprint + " key is expired");
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(key_clock.next(*reader), clock.now() + hours(4));
  // While berthd was away.
  clock.advance(days(3));
  ASSERT_TRUE(key_clock.run_due_now().has_value());
  EXPECT_EQ(last_audit(), "berthd key.expire ada " + later.fingerprint + " key is expired");
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(key_clock.next(*reader), Timestamp{});
}

TEST_F(KeyLifeTest, TheClockKnowsAgeGraceAndExceptions) {
  add_user("ada");
  add_user("bob");
  policy.max_age = days(10);
  Directory strict(*store, clock, policy);
  KeyClock strict_clock(*store, clock, strict);
  run_coroutine(strict_clock.run_due());
  const Key ada = add_key("ada", 1), bob = add_key("bob", 2);
  KeyExceptions exceptions;
  exceptions.max_age = hours(0);
  exceptions.until = clock.now() + days(20);
  run_coroutine(strict.set_key_exceptions(admin, "bob", exceptions));
  EXPECT_EQ(strict_clock.next(*reader), clock.now() + days(10));
  run_coroutine(strict.rotate_key(admin, {"ada", key_line(3), "", days(2)}));
  EXPECT_EQ(strict_clock.next(*reader), clock.now() + days(2));
  clock.advance(days(2));
  EXPECT_EQ(run_coroutine(strict_clock.run_due())->at(0).fingerprint, ada.fingerprint);
  clock.advance(days(8));  // ada's first would be too old now, the second was added with it
  EXPECT_EQ(run_coroutine(strict_clock.run_due())->size(), 1u);
  EXPECT_EQ(strict_clock.next(*reader), exceptions.until);
  clock.advance(days(10));
  EXPECT_EQ(run_coroutine(strict_clock.run_due())->at(0).fingerprint, bob.fingerprint);
}

TEST_F(KeyLifeTest, TheClockFindsWorkByIndex) {
  for (const char* sql : {"SELECT min(expires_at) FROM keys WHERE expires_at <> 0 AND revoked_at = 0 AND expires_at > 1",
                          "SELECT min(grace_ends_at) FROM keys WHERE grace_ends_at <> 0 AND revoked_at = 0 AND grace_ends_at > 1",
                          "SELECT min(added_at) FROM keys WHERE revoked_at = 0 AND added_at > 1"}) {
    SQLite::Statement plan(*reader, std::string("EXPLAIN QUERY PLAN ") + sql);
    ASSERT_TRUE(plan.executeStep());
    EXPECT_NE(plan.getColumn(3).getString().find("SEARCH keys USING INDEX keys_by_"), std::string::npos) << plan.getColumn(3).getString();
  }
}

class CampaignTest : public KeyLifeTest {
 protected:
  CampaignPlan plan(CampaignAction action = CampaignAction::supersede) { return {days(90), days(30), action, "New year, new keys"}; }
};

TEST_F(CampaignTest, FromStartToDeadline) {
  run_coroutine(key_clock.run_due());
  add_user("ada");
  add_user("bob");
  add_user("eve");
  const Key ada = add_key("ada", 1), bob = add_key("bob", 2);
  clock.advance(days(90));
  add_key("eve", 3);
  EXPECT_EQ(campaigns.preview(*reader, plan())->users.size(), 2u);
  EXPECT_FALSE(campaigns.report(*reader));
  const auto started = run_coroutine(campaigns.start(admin, plan()));
  ASSERT_TRUE(started.has_value()) << started.error().message;
  EXPECT_EQ(started->users.size(), 2u);
  EXPECT_EQ(started->done(), 0u);
  EXPECT_EQ(run_coroutine(campaigns.start(admin, plan())).error().kind, ErrorKind::conflict);
  EXPECT_NE(last_audit().find("campaign.start older than 90d"), std::string::npos);
  const auto notices = notices_for(*reader, directory, campaigns, "ada", ada.fingerprint, "ssh -p 2222 box", clock.now());
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].kind, "campaign");
  EXPECT_NE(notices[0].text.find("New year, new keys"), std::string::npos);
  EXPECT_NE(notices[0].text.find("ssh -p 2222 box berth key rotate"), std::string::npos);
  EXPECT_TRUE(notices_for(*reader, directory, campaigns, "eve", "", "ssh box", clock.now()).empty());

  ASSERT_TRUE(rotate(actor("ada", ada), "ada", 4).has_value());
  auto report = campaigns.report(*reader);
  EXPECT_EQ(report->done(), 1u);
  EXPECT_EQ(report->users[0].user, "bob");  // those who have not come first
  EXPECT_EQ(report->users[1].done_at(), clock.now());
  EXPECT_FALSE(campaigns.asked_of(*reader, "ada"));

  clock.advance(days(30));
  EXPECT_EQ(due().size(), 1u);  // ada's old key reached its grace's end; bob's works on in a grace of its own
  EXPECT_EQ(directory.judge(now_of(bob)).state, KeyState::superseded);
  report = campaigns.report(*reader);
  EXPECT_EQ(report->done(), 1u);
  EXPECT_EQ(report->campaign.done_at, clock.now());
  EXPECT_EQ(last_audit(), "berthd campaign.deadline supersede 1 keys of 1 users ok");
  EXPECT_TRUE(due().empty());
  clock.advance(days(7));
  EXPECT_EQ(due(), std::vector{bob.fingerprint});
  EXPECT_EQ(login(bob), LoginRefusal::expired_key);
}

TEST_F(CampaignTest, ExpiresWhereChosenAndNeverTwice) {
  add_user("ada");
  const Key ada = add_key("ada", 1);
  clock.advance(days(91));
  ASSERT_TRUE(run_coroutine(campaigns.start(admin, plan(CampaignAction::expire))).has_value());
  EXPECT_EQ(key_clock.next(*reader), clock.now() + days(30));
  clock.advance(days(31));
  ASSERT_TRUE(key_clock.run_due_now().has_value());  // berthd was away at the deadline
  EXPECT_EQ(login(ada), LoginRefusal::expired_key);
  const auto rows = audit.tail(*reader, 100).size();
  ASSERT_TRUE(key_clock.run_due_now().has_value());
  EXPECT_EQ(audit.tail(*reader, 100).size(), rows);
}

TEST_F(CampaignTest, EndedEarlyNothingHappens) {
  add_user("ada");
  const Key ada = add_key("ada", 1);
  EXPECT_EQ(run_coroutine(campaigns.start(admin, plan())).error().kind, ErrorKind::conflict);  // nobody to ask
  EXPECT_EQ(run_coroutine(campaigns.end(admin)).error().kind, ErrorKind::not_found);
  clock.advance(days(91));
  EXPECT_EQ(run_coroutine(campaigns.start(actor("ada", ada), plan())).error().kind, ErrorKind::denied);
  ASSERT_TRUE(run_coroutine(campaigns.start(admin, plan())).has_value());
  ASSERT_TRUE(run_coroutine(campaigns.end(admin)).has_value());
  EXPECT_EQ(last_audit(), "admin-socket campaign.end 0 of 1 users had replaced their keys ok");
  clock.advance(days(31));
  due();
  EXPECT_EQ(directory.judge(now_of(ada)).state, KeyState::active);
  ASSERT_TRUE(run_coroutine(campaigns.start(admin, plan())).has_value());
}

TEST(RefusedUses, OneRowAndThenOneInTenMinutes) {
  RefusedUses uses;
  Timestamp now{days(20'000)};
  EXPECT_EQ(uses.take("k", "192.0.2.1:1", false, now), 0u);
  EXPECT_EQ(uses.take("k", "192.0.2.1:2", false, now), std::nullopt);
  EXPECT_EQ(uses.take("k", "192.0.2.1:3", true, now), 0u);  // a proof is news
  EXPECT_EQ(uses.take("k", "192.0.2.2:1", false, now), 0u);
  EXPECT_EQ(uses.take("l", "192.0.2.1:1", false, now), 0u);
  now += std::chrono::minutes(9);
  EXPECT_EQ(uses.take("k", "192.0.2.1:4", false, now), std::nullopt);
  now += std::chrono::minutes(1);
  EXPECT_EQ(uses.take("k", "192.0.2.1:5", false, now), 2u);
  std::size_t rows = 0;
  for (int i = 0; i < 5000; ++i) rows += uses.take("k" + std::to_string(i), "192.0.2.1:5", false, now).has_value() ? 1 : 0;
  EXPECT_LT(rows, 601u);
}

TEST_F(KeyLifeTest, ASuccessorMayDoNoMore) {
  add_user("ada");
  const Key old = run_coroutine(directory.add_key(admin, "ada", "no-pty,from=\"10.0.0.0/8\" " + key_line(1), {})).value();
  const Actor ada = actor("ada", old);
  const auto by_ada = rotate(ada, "ada", 2);
  ASSERT_TRUE(by_ada.has_value()) << by_ada.error().message;
  EXPECT_EQ(by_ada->key.options, old.options);
  EXPECT_EQ(now_of(by_ada->key).options, old.options);
  // Options of one's own do not lift those of the old key; an admin's do.
  Rotation rotation;
  rotation.user = "ada";
  rotation.replaces = by_ada->key.fingerprint;
  rotation.line = "environment=\"A=b\" " + key_line(3);
  const auto again = run_coroutine(directory.rotate_key(actor("ada", by_ada->key), rotation));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(now_of(again->key).options, old.options);
  rotation.replaces = again->key.fingerprint;
  rotation.line = "no-pty " + key_line(4);
  const auto by_admin = run_coroutine(directory.rotate_key(admin, rotation));
  ASSERT_TRUE(by_admin.has_value()) << by_admin.error().message;
  EXPECT_EQ(now_of(by_admin->key).options, "no-pty");
}

}  // namespace
}  // namespace berth::auth
