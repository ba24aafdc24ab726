#include "auth/key_policy.hpp"

#include "auth/key_exceptions.hpp"
#include "auth_fixture.hpp"

#include <nlohmann/json.hpp>

namespace berth::auth {
namespace {
using std::chrono::days;
using std::chrono::hours;

constexpr Timestamp kNow{std::chrono::days(20'000)};

KeyPolicy site() {
  KeyPolicy policy = default_settings().keys;
  policy.warn_before = days(14);
  return policy;
}

Key plain_key() {
  Key key;
  key.type = "ssh-ed25519";
  key.added_at = kNow - days(100);
  return key;
}

struct Case {
  const char* what;
  void (*set)(Key& key, KeyPolicy& policy);
  KeyState state;
  KeyRefusal refusal = KeyRefusal::none;
  KeyNotice notice = KeyNotice::none;
  Timestamp ends_at{};
};

void except(Key& key) { key.exceptions.set_at = kNow - days(1); }

const Case kCases[] = {
    {"plain", [](Key&, KeyPolicy&) {}, KeyState::active},
    {"expires far ahead", [](Key& k, KeyPolicy&) { k.expires_at = kNow + days(15); }, KeyState::active, KeyRefusal::none, KeyNotice::none, kNow + days(15)},
    {"expires soon", [](Key& k, KeyPolicy&) { k.expires_at = kNow + days(14); }, KeyState::active, KeyRefusal::none, KeyNotice::expires_soon, kNow + days(14)},
    {"expires at this moment", [](Key& k, KeyPolicy&) { k.expires_at = kNow; }, KeyState::expired, KeyRefusal::expired, KeyNotice::none, kNow},
    {"young enough", [](Key&, KeyPolicy& p) { p.max_age = days(365); }, KeyState::active, KeyRefusal::none, KeyNotice::none, kNow + days(265)},
    {"too old", [](Key&, KeyPolicy& p) { p.max_age = days(90); }, KeyState::expired, KeyRefusal::too_old, KeyNotice::none, kNow - days(10)},
    {"age before its own end", [](Key& k, KeyPolicy& p) { k.expires_at = kNow + days(400); p.max_age = days(101); }, KeyState::active, KeyRefusal::none,
     KeyNotice::expires_soon, kNow + days(1)},
    {"revoked", [](Key& k, KeyPolicy&) { k.revoked_at = kNow - hours(1); }, KeyState::revoked, KeyRefusal::revoked},
    {"revoked and expired", [](Key& k, KeyPolicy&) { k.revoked_at = k.expires_at = kNow - hours(1); }, KeyState::revoked, KeyRefusal::revoked, KeyNotice::none,
     kNow - hours(1)},
    {"in grace", [](Key& k, KeyPolicy&) { k.superseded_at = kNow - days(1); k.grace_ends_at = kNow + days(6); }, KeyState::superseded, KeyRefusal::none,
     KeyNotice::superseded, kNow + days(6)},
    {"grace over", [](Key& k, KeyPolicy&) { k.superseded_at = kNow - days(7); k.grace_ends_at = kNow; }, KeyState::expired, KeyRefusal::grace_over, KeyNotice::none,
     kNow},
    {"expires within the grace", [](Key& k, KeyPolicy&) { k.superseded_at = kNow; k.grace_ends_at = kNow + days(7); k.expires_at = kNow + days(2); },
     KeyState::superseded, KeyRefusal::none, KeyNotice::superseded, kNow + days(2)},
    {"type forbidden", [](Key&, KeyPolicy& p) { p.allowed_types = {"ssh-rsa"}; }, KeyState::active, KeyRefusal::type},
    {"no type allowed", [](Key&, KeyPolicy& p) { p.allowed_types.clear(); }, KeyState::active, KeyRefusal::type},
    {"hardware demanded", [](Key&, KeyPolicy& p) { p.require_hardware = true; }, KeyState::active, KeyRefusal::not_hardware},
    {"hardware given", [](Key& k, KeyPolicy& p) { k.type = "sk-ssh-ed25519@openssh.com"; p.require_hardware = true; }, KeyState::active},
    {"RSA without bits", [](Key& k, KeyPolicy&) { k.type = "ssh-rsa"; }, KeyState::active, KeyRefusal::rsa_bits},
    {"exception of age", [](Key& k, KeyPolicy& p) { p.max_age = days(90); except(k); k.exceptions.max_age = days(365); }, KeyState::active, KeyRefusal::none,
     KeyNotice::none, kNow + days(265)},
    {"exception without limit", [](Key& k, KeyPolicy& p) { p.max_age = days(90); except(k); k.exceptions.max_age = hours(0); }, KeyState::active},
    {"stricter exception", [](Key& k, KeyPolicy&) { except(k); k.exceptions.max_age = days(30); }, KeyState::expired, KeyRefusal::too_old, KeyNotice::none,
     kNow - days(70)},
    {"exception that has ended", [](Key& k, KeyPolicy& p) { p.max_age = days(90); except(k); k.exceptions.max_age = hours(0); k.exceptions.until = kNow; },
     KeyState::expired, KeyRefusal::too_old, KeyNotice::none, kNow - days(10)},
    {"exception that ends", [](Key& k, KeyPolicy& p) { p.max_age = days(90); except(k); k.exceptions.max_age = hours(0); k.exceptions.until = kNow + days(20); },
     KeyState::active, KeyRefusal::none, KeyNotice::none, kNow + days(20)},
    {"exception of hardware that ends", [](Key& k, KeyPolicy& p) { p.require_hardware = true; except(k); k.exceptions.allow_software = true; k.exceptions.until = kNow + days(3); },
     KeyState::active, KeyRefusal::none, KeyNotice::expires_soon, kNow + days(3)},
    {"exception of type", [](Key& k, KeyPolicy& p) { p.allowed_types = {"ssh-rsa"}; except(k); k.exceptions.allowed_types = {"ssh-ed25519"}; }, KeyState::active},
};

TEST(KeyPolicy, Table) {
  for (const Case& row : kCases) {
    KeyPolicy policy = site();
    Key key = plain_key();
    row.set(key, policy);
    const KeyVerdict verdict = decide(key, policy, kNow);
    EXPECT_EQ(verdict.state, row.state) << row.what;
    EXPECT_EQ(verdict.refusal, row.refusal) << row.what << ": " << words_of(verdict.refusal);
    EXPECT_EQ(verdict.notice, row.notice) << row.what;
    EXPECT_EQ(verdict.ends_at, row.ends_at) << row.what << ": " << format_timestamp(verdict.ends_at);
  }
}

// What decide() says of the end is what decide() does at the end, for every case.
TEST(KeyPolicy, EndsWhenItSays) {
  for (const Case& row : kCases) {
    KeyPolicy policy = site();
    Key key = plain_key();
    row.set(key, policy);
    const KeyVerdict before = decide(key, policy, kNow);
    if (!before.allowed() || before.ends_at == Timestamp{}) continue;
    EXPECT_TRUE(decide(key, policy, before.ends_at - std::chrono::microseconds(1)).allowed()) << row.what;
    EXPECT_FALSE(decide(key, policy, before.ends_at).allowed()) << row.what;
  }
}

TEST(KeyPolicy, Touch) {
  KeyPolicy policy = site();
  Key token = plain_key();
  token.type = "sk-ssh-ed25519@openssh.com";
  EXPECT_EQ(check_touch(token, policy, kNow, 0x01), KeyRefusal::none);
  EXPECT_EQ(check_touch(token, policy, kNow, 0x00), KeyRefusal::not_touched);
  EXPECT_EQ(check_touch(token, policy, kNow, 0x04), KeyRefusal::not_touched);
  EXPECT_EQ(check_touch(plain_key(), policy, kNow, 0x00), KeyRefusal::none);
  policy.require_touch = false;
  EXPECT_EQ(check_touch(token, policy, kNow, 0x00), KeyRefusal::none);
  policy.require_touch = true;
  except(token);
  token.exceptions.allow_untouched = true;
  EXPECT_EQ(check_touch(token, policy, kNow, 0x00), KeyRefusal::none);
}

TEST(KeyExceptions, ThereAndBack) {
  const auto given = nlohmann::json::parse(
      R"({"max_age_s":31536000,"max_per_user":0,"min_rsa_bits":1024,"allowed_types":["ssh-rsa"],"allow_software":true,"until":"2027-01-31T00:00:00.000000Z","reason":"old robot"})");
  auto read = exceptions_in(given);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(to_json(*read), given);
  EXPECT_EQ(stored_form(*read), "");  // none are in force before they are set
  read->set_at = kNow;
  EXPECT_EQ(to_json(stored_exceptions(stored_form(*read))), to_json(*read));
  EXPECT_EQ(stored_exceptions("{broken").set_at, Timestamp{});
}

TEST(KeyExceptions, RefusesByName) {
  for (const auto& [text, word] : {std::pair(R"({"max_age":1})", "max_age"), {R"({"max_age_s":-1})", "max_age_s"}, {R"({"max_age_s":1.5})", "max_age_s"},
                                   {R"({"allowed_types":["ssh-dss"]})", "ssh-dss"}, {R"({"allow_software":"yes"})", "allow_software"}, {R"({"reason":"why"})", "say what"},
                                   {R"({"until":"soon","max_age_s":1})", "soon"}, {R"([])", "object"}, {R"({})", "say what"}}) {
    const auto read = exceptions_in(nlohmann::json::parse(text));
    ASSERT_TRUE(read.has_error()) << text;
    EXPECT_NE(read.error().message.find(word), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace berth::auth
