// Rotation, removal, exceptions and use of keys.
#include "auth/key_notices.hpp"
#include "key_life_fixture.hpp"

namespace berth::auth {
namespace {
using std::chrono::days;
using std::chrono::seconds;

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
