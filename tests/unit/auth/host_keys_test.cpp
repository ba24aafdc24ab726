#include "auth/host_keys.hpp"

#include <gtest/gtest.h>

#include "auth_fixture.hpp"

namespace berth::auth {
namespace {

// A "private key" here is "TYPE NUMBER"; its public half says the same.
Result<std::string> generate(std::string_view type) {
  static int number = 0;
  return std::string(type) + " " + std::to_string(++number);
}
Result<std::string> public_blob(std::string_view key) { return WireWriter().string("ssh-" + std::string(key.substr(0, key.find(' ')))).string(key).bytes(); }

class HostKeysTest : public AuthTest {
 protected:
  HostKeys keys{*store, clock, {generate, public_blob}, {"ed25519", "rsa"}};
  void SetUp() override { ASSERT_TRUE(keys.start().has_value()); }
  Result<HostKey> rotate(const std::string& type, std::chrono::seconds overlap) {
    return run_coroutine(keys.rotate(admin, type, keys.generate(type).value(), overlap));
  }
  Result<void> retire(const std::string& fingerprint) { return run_coroutine(keys.retire(admin, fingerprint)); }
  // "ed25519 active, rsa active"
  std::string states() const {
    std::string text;
    for (const HostKey& key : *keys.current()) text += (text.empty() ? "" : ", ") + key.type + (key.active ? " active" : " next");
    return text;
  }
};

TEST_F(HostKeysTest, MissingOnesAreMadeOnceAndStay) {
  EXPECT_EQ(states(), "ed25519 active, rsa active");
  HostKeys again(*store, clock, {generate, public_blob}, {"ed25519", "rsa"});
  ASSERT_TRUE(again.start().has_value());
  EXPECT_EQ(again.current()->at(0).fingerprint, keys.current()->at(0).fingerprint);
}

TEST_F(HostKeysTest, TheNewOneWaitsForTheEndOfTheOverlap) {
  const std::string old_one = keys.current()->at(0).fingerprint;
  const auto made = rotate("ed25519", std::chrono::hours(24));
  ASSERT_TRUE(made.has_value());
  EXPECT_FALSE(made->active);
  EXPECT_EQ(states(), "ed25519 active, ed25519 next, rsa active");
  EXPECT_EQ(keys.current()->at(0).fingerprint, old_one);
  EXPECT_EQ(keys.next_end(), clock.now() + std::chrono::hours(24));
  EXPECT_EQ(rotate("ed25519", std::chrono::hours(1)).error().kind, ErrorKind::conflict);

  clock.advance(std::chrono::hours(23));
  ASSERT_TRUE(run_coroutine(keys.tick()).has_value());
  EXPECT_EQ(keys.current()->size(), 3u);
  clock.advance(std::chrono::hours(1));
  ASSERT_TRUE(run_coroutine(keys.tick()).has_value());
  EXPECT_EQ(states(), "ed25519 active, rsa active");
  EXPECT_EQ(keys.current()->at(0).fingerprint, made->fingerprint);
  EXPECT_EQ(keys.next_end(), Timestamp{});
}

TEST_F(HostKeysTest, AnOverlapThatRanOutWhileStoppedEndsAtTheStart) {
  const auto made = rotate("ed25519", std::chrono::hours(24));
  clock.advance(std::chrono::hours(25));
  HostKeys later(*store, clock, {generate, public_blob}, {"ed25519"});
  ASSERT_TRUE(later.start().has_value());
  EXPECT_EQ(later.current()->at(0).fingerprint, made->fingerprint);
}

TEST_F(HostKeysTest, WithoutOverlapItIsReplacedAtOnce) {
  const auto made = rotate("rsa", std::chrono::seconds(0));
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(made->active);
  EXPECT_EQ(states(), "ed25519 active, rsa active");
}

TEST_F(HostKeysTest, AnEcdsaKeyOnlyWhenAskedFor) {
  ASSERT_TRUE(rotate("ecdsa", std::chrono::hours(1)).has_value());
  EXPECT_EQ(states(), "ecdsa active, ed25519 active, rsa active");
  ASSERT_TRUE(retire(keys.current()->at(0).fingerprint).has_value());
  EXPECT_EQ(states(), "ed25519 active, rsa active");
}

TEST_F(HostKeysTest, RetiringIsRefusedWhereNoneWouldBeLeft) {
  EXPECT_EQ(retire(keys.current()->at(0).fingerprint).error().kind, ErrorKind::conflict);
  EXPECT_EQ(retire("SHA256:nothing").error().kind, ErrorKind::not_found);
  const auto made = rotate("ed25519", std::chrono::hours(24));
  // The successor given up: the rotation is over.
  ASSERT_TRUE(retire(made->fingerprint).has_value());
  EXPECT_EQ(keys.next_end(), Timestamp{});
  ASSERT_TRUE(rotate("ed25519", std::chrono::hours(24)).has_value());
  ASSERT_TRUE(retire(keys.current()->at(0).fingerprint).has_value());
  EXPECT_EQ(states(), "ed25519 active, rsa active");
}

TEST_F(HostKeysTest, OnlyAdminsAndOnlyWhatMakesSense) {
  Actor user{"ada", Role::user, "unix", "", ""};
  EXPECT_EQ(run_coroutine(keys.rotate(user, "rsa", "rsa 99", std::chrono::seconds(1))).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(keys.retire(user, keys.current()->at(0).fingerprint)).error().kind, ErrorKind::denied);
  EXPECT_EQ(keys.generate("dsa").error().kind, ErrorKind::invalid);
  EXPECT_EQ(rotate("rsa", std::chrono::hours(24 * 400)).error().kind, ErrorKind::invalid);
}

TEST_F(HostKeysTest, EveryChangeIsToldAndAudited) {
  int told = 0;
  keys.on_change([&] { ++told; });
  ASSERT_TRUE(rotate("rsa", std::chrono::hours(1)).has_value());
  clock.advance(std::chrono::hours(2));
  ASSERT_TRUE(run_coroutine(keys.tick()).has_value());
  EXPECT_EQ(told, 2);
  std::string actions;
  for (const AuditRow& row : audit.tail(*reader, 4)) actions += row.action + " ";
  EXPECT_EQ(actions, "hostkey.make hostkey.make hostkey.rotate hostkey.retire ");
}

}  // namespace
}  // namespace berth::auth
