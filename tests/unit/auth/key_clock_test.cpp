#include "auth/key_clock.hpp"

#include <SQLiteCpp/Statement.h>

#include "key_life_fixture.hpp"

namespace berth::auth {
namespace {
using std::chrono::days;
using std::chrono::hours;

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

}  // namespace
}  // namespace berth::auth
