#include "auth/tokens.hpp"

#include "auth_fixture.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {

class TokensTest : public AuthTest {
 protected:
  Tokens tokens{*store, clock, policy};
  Actor ada() { return {"ada", Role::user, "192.0.2.1", key}; }
  std::string key;
  void SetUp() override {
    add_user("ada");
    key = add_key("ada", 1).fingerprint;
  }
  Tokens::New make(const std::string& name = "ci") { return run_coroutine(tokens.create(ada(), name, "read", std::chrono::hours(1))).value(); }
  bool works(const std::string& secret) { return tokens.check(*reader, secret, "192.0.2.9").has_value(); }
};

TEST_F(TokensTest, SpeaksForItsUserAndIsStoredAsAHash) {
  const Tokens::New made = make();
  EXPECT_TRUE(made.secret.starts_with(Tokens::kPrefix));
  EXPECT_EQ(made.secret.size(), Tokens::kPrefix.size() + 43);
  const auto valid = tokens.check(*reader, made.secret, "192.0.2.9");
  ASSERT_TRUE(valid);
  EXPECT_EQ(valid->user.name, "ada");
  EXPECT_EQ(valid->token.scopes, "read");
  EXPECT_FALSE(works("berth_" + std::string(43, 'A')));
  EXPECT_FALSE(works(""));
  EXPECT_FALSE(works(made.secret.substr(6)));
  EXPECT_EQ(reader->execAndGet("SELECT token_hash FROM api_tokens").getString(), sha256(made.secret));
  settle();
  EXPECT_EQ(tokens.list(*reader, "ada").at(0).last_used_from, "192.0.2.9");
}

TEST_F(TokensTest, DiesWithItsTimeItsKeyAndItsUser) {
  const std::string by_time = make("a").secret;
  clock.advance(std::chrono::hours(1));
  EXPECT_FALSE(works(by_time));
  const std::string by_key = make("b").secret;
  ASSERT_TRUE(works(by_key));
  ASSERT_TRUE(run_coroutine(directory.set_disabled(admin, "ada", true)));
  EXPECT_FALSE(works(by_key));
  ASSERT_TRUE(run_coroutine(directory.set_disabled(admin, "ada", false)));
  EXPECT_TRUE(works(by_key));
  ASSERT_TRUE(run_coroutine(directory.revoke_key(admin, key)));
  EXPECT_FALSE(works(by_key));
  EXPECT_FALSE(tokens.list(*reader, "ada").at(0).usable);
  EXPECT_EQ(run_coroutine(tokens.create(ada(), "c", "read", std::chrono::hours(1))).error().kind, ErrorKind::denied);
  ASSERT_TRUE(run_coroutine(directory.remove_user(admin, "ada")));
  EXPECT_TRUE(tokens.list(*reader, "").empty());
}

TEST_F(TokensTest, WorksOnlyFromWhereItsKeyDoes) {
  key = run_coroutine(directory.add_key(admin, "ada", "from=\"192.0.2.0/24\" " + key_line(2), {})).value().fingerprint;
  const std::string secret = make().secret;
  EXPECT_TRUE(tokens.check(*reader, secret, "192.0.2.9:1234").has_value());
  EXPECT_FALSE(tokens.check(*reader, secret, "203.0.113.9:1234").has_value());
  EXPECT_FALSE(tokens.check(*reader, secret, "[2001:db8::7]:1234").has_value());
  key = run_coroutine(directory.add_key(admin, "ada", "no-pty " + key_line(3), {})).value().fingerprint;
  EXPECT_EQ(run_coroutine(tokens.create(ada(), "restricted", "read", std::chrono::hours(1))).error().kind, ErrorKind::denied);
}

TEST_F(TokensTest, IsRevokedByItsUserOrAnAdmin) {
  const Tokens::New first = make("a"), second = make("b");
  EXPECT_EQ(run_coroutine(tokens.revoke({"eve", Role::user, "x", ""}, first.token.id)).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(run_coroutine(tokens.revoke(ada(), first.token.id)));
  EXPECT_TRUE(run_coroutine(tokens.revoke(admin, second.token.id)));
  EXPECT_EQ(run_coroutine(tokens.revoke(admin, second.token.id)).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(works(first.secret) || works(second.secret));
  settle();
  const auto rows = audit.tail(*reader, 3);
  EXPECT_EQ(rows.back().action, "token.use");  // a dead one that is used is told
  EXPECT_EQ(rows.back().outcome, "token is revoked");
  for (const AuditRow& row : audit.tail(*reader, 100)) EXPECT_EQ((row.object + row.outcome).find(first.secret), std::string::npos);
}

TEST_F(TokensTest, NamesAndNumbersHaveLimits) {
  make("ci");
  EXPECT_EQ(run_coroutine(tokens.create(ada(), "ci", "read", std::chrono::hours(1))).error().kind, ErrorKind::conflict);
  for (const char* name : {"", "two words", "\x1b[2J"}) EXPECT_EQ(run_coroutine(tokens.create(ada(), name, "read", std::chrono::hours(1))).error().kind, ErrorKind::invalid);
  for (const std::chrono::seconds life : {std::chrono::seconds(1), std::chrono::seconds(-5), std::chrono::seconds(400 * 86400)}) {
    EXPECT_EQ(run_coroutine(tokens.create(ada(), "x", "read", life)).error().kind, ErrorKind::invalid);
  }
  for (std::size_t i = 1; i < Tokens::kMostOfUser; ++i) make("t" + std::to_string(i));
  EXPECT_EQ(run_coroutine(tokens.create(ada(), "more", "read", std::chrono::hours(1))).error().kind, ErrorKind::conflict);
}

}  // namespace
}  // namespace berth::auth
