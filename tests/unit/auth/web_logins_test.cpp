#include "auth/web_logins.hpp"

#include "auth/web_rows.hpp"
#include "auth_fixture.hpp"

namespace berth::auth {
namespace {
using std::chrono::seconds;

class WebLoginsTest : public AuthTest {
 protected:
  WebLogins web{*store, clock, std::chrono::hours(12), policy};
  Key key;
  Actor ada;

  void SetUp() override {
    add_user("ada");
    add_user("bob");
    key = add_key("ada", 1);
    ada = {"ada", Role::user, "127.0.0.1:1", key.fingerprint};
  }
  Result<NewWebSession> redeem(const std::string& token) { return run_coroutine(web.redeem_link(token, "192.0.2.1:5", "Firefox")); }
  NewWebSession login() { return redeem(run_coroutine(web.make_link(ada)).value()).value(); }
  Result<NewWebSession> poll(const std::string& secret) { return run_coroutine(web.redeem_code(secret, "192.0.2.1:5", "Firefox")); }
  Result<WebLogins::NewCode> ask(const std::string& address) { return run_coroutine(web.ask_code(address, "Firefox")); }
};

TEST_F(WebLoginsTest, ALinkWorksOnceForAMinute) {
  const std::string token = run_coroutine(web.make_link(ada)).value();
  EXPECT_EQ(token.size(), 43u);
  const auto session = redeem(token);
  ASSERT_TRUE(session.has_value());
  EXPECT_EQ(session->session.user, "ada");
  EXPECT_EQ(session->session.key_fingerprint, key.fingerprint);
  EXPECT_EQ(redeem(token).error().kind, ErrorKind::not_found);
  const std::string late = run_coroutine(web.make_link(ada)).value();
  clock.advance(seconds(60));
  EXPECT_EQ(redeem(late).error().kind, ErrorKind::not_found);
  EXPECT_EQ(redeem("").error().kind, ErrorKind::not_found);
}

TEST_F(WebLoginsTest, ALinkNeedsAKeyThatIsStillValid) {
  Actor other = ada;
  other.key_fingerprint = add_key("bob", 2).fingerprint;  // not ada's
  EXPECT_EQ(run_coroutine(web.make_link(other)).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(web.make_link(admin)).error().kind, ErrorKind::denied);
  const std::string token = run_coroutine(web.make_link(ada)).value();
  run_coroutine(directory.revoke_key(admin, key.fingerprint));
  EXPECT_EQ(redeem(token).error().kind, ErrorKind::not_found);
}

TEST_F(WebLoginsTest, ASessionEndsWithItsTimeItsKeyAndItsUser) {
  auto made = login();
  ASSERT_TRUE(web.check(*reader, made.cookie));
  EXPECT_EQ(web.check(*reader, made.cookie)->user.name, "ada");
  EXPECT_FALSE(web.check(*reader, "x"));
  EXPECT_FALSE(web.check(*reader, ""));
  run_coroutine(directory.set_disabled(admin, "ada", true));
  EXPECT_FALSE(web.check(*reader, made.cookie));
  run_coroutine(directory.set_disabled(admin, "ada", false));
  EXPECT_TRUE(web.check(*reader, made.cookie));
  clock.advance(std::chrono::hours(12));
  EXPECT_FALSE(web.check(*reader, made.cookie));
  made = login();
  run_coroutine(directory.revoke_key(admin, key.fingerprint));
  EXPECT_FALSE(web.check(*reader, made.cookie));
  EXPECT_TRUE(web.list(*reader, "ada").empty());
}

TEST_F(WebLoginsTest, ASessionEndsWithTheLifeOfItsKey) {
  const Key brief = add_key("ada", 7, clock.now() + std::chrono::hours(1));
  ada.key_fingerprint = brief.fingerprint;
  const auto made = login();
  EXPECT_TRUE(web.check(*reader, made.cookie));
  clock.advance(std::chrono::hours(1));
  EXPECT_FALSE(web.check(*reader, made.cookie));
}

TEST_F(WebLoginsTest, RemovingTheUserRemovesTheSession) {
  const auto made = login();
  ASSERT_TRUE(run_coroutine(directory.remove_user(admin, "ada")).has_value());
  EXPECT_FALSE(web.check(*reader, made.cookie));
}

TEST_F(WebLoginsTest, SessionsAreListedAndEnded) {
  const auto one = login();
  clock.advance(seconds(1));
  const auto two = login();
  ASSERT_EQ(web.list(*reader, "ada").size(), 2u);
  EXPECT_EQ(web.list(*reader, "ada")[0].id, one.session.id);
  const Actor bob{"bob", Role::user, "x", ""};
  EXPECT_EQ(run_coroutine(web.end(bob, one.session.id)).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(run_coroutine(web.end(ada, one.session.id)).has_value());
  EXPECT_FALSE(web.check(*reader, one.cookie));
  EXPECT_TRUE(web.check(*reader, two.cookie));
  EXPECT_TRUE(run_coroutine(web.end(admin, two.session.id)).has_value());
  EXPECT_FALSE(web.check(*reader, two.cookie));
}

TEST_F(WebLoginsTest, LastSeenMovesOnceAMinute) {
  const auto made = login();
  const Timestamp begin = clock.now();
  clock.advance(seconds(59));
  web.check(*reader, made.cookie);
  settle();
  EXPECT_EQ(web.list(*reader, "ada")[0].last_seen_at, begin);
  clock.advance(seconds(1));
  web.check(*reader, made.cookie);
  web.check(*reader, made.cookie);
  settle();
  EXPECT_EQ(web.list(*reader, "ada")[0].last_seen_at, clock.now());
}

TEST_F(WebLoginsTest, ACodeIsApprovedBySshAndRedeemedOnce) {
  const auto code = ask("192.0.2.1:5").value();
  ASSERT_EQ(code.code.size(), 9u);
  EXPECT_EQ(code.code[4], '-');
  EXPECT_EQ(poll(code.browser_secret).error().kind, ErrorKind::conflict);
  EXPECT_EQ(web.find_code(*reader, ada, code.code)->user_agent, "Firefox");
  std::string typed = code.code.substr(0, 4) + code.code.substr(5);
  for (char& c : typed) c = static_cast<char>(c - 'A' + 'a');
  ASSERT_TRUE(run_coroutine(web.approve_code(ada, " " + typed)).has_value());
  EXPECT_EQ(run_coroutine(web.approve_code(ada, code.code)).error().kind, ErrorKind::not_found);  // approved already
  const auto session = poll(code.browser_secret);
  ASSERT_TRUE(session.has_value());
  EXPECT_TRUE(web.check(*reader, session->cookie));
  EXPECT_EQ(poll(code.browser_secret).error().kind, ErrorKind::not_found);
  EXPECT_EQ(poll("x").error().kind, ErrorKind::not_found);
}

TEST_F(WebLoginsTest, ACodeRunsOutAfterFiveMinutes) {
  const auto code = ask("192.0.2.1:5").value();
  clock.advance(seconds(300));
  EXPECT_EQ(poll(code.browser_secret).error().kind, ErrorKind::not_found);
  EXPECT_EQ(run_coroutine(web.approve_code(ada, code.code)).error().kind, ErrorKind::not_found);
}

TEST_F(WebLoginsTest, AnApprovalDiesWithItsKey) {
  const auto code = ask("192.0.2.1:5").value();
  ASSERT_TRUE(run_coroutine(web.approve_code(ada, code.code)).has_value());
  run_coroutine(directory.revoke_key(admin, key.fingerprint));
  EXPECT_EQ(poll(code.browser_secret).error().kind, ErrorKind::not_found);
}

TEST_F(WebLoginsTest, OpenCodesAreLimitedByNetwork) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ask("192.0.2.1:" + std::to_string(i)).has_value());
  EXPECT_EQ(ask("192.0.2.1:99").error().kind, ErrorKind::unavailable);
  EXPECT_TRUE(ask("192.0.2.2:99").has_value());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ask("[2001:db8::" + std::to_string(i) + "]:5").has_value());
  EXPECT_EQ(ask("2001:db8::ffff").error().kind, ErrorKind::unavailable);
  clock.advance(seconds(300));
  EXPECT_TRUE(ask("192.0.2.1:99").has_value());
}

TEST_F(WebLoginsTest, GuessingCodesIsLimitedByUser) {
  const auto code = ask("192.0.2.1:5").value();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run_coroutine(web.approve_code(ada, "BBBB-BBBB")).error().kind, ErrorKind::not_found);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(web.find_code(*reader, ada, "BBBB-BBBB").error().kind, ErrorKind::not_found);
  EXPECT_EQ(run_coroutine(web.approve_code(ada, code.code)).error().kind, ErrorKind::unavailable);
  EXPECT_EQ(web.find_code(*reader, ada, code.code).error().kind, ErrorKind::unavailable);
  const Actor bob{"bob", Role::user, "x", add_key("bob", 2).fingerprint};
  EXPECT_TRUE(web.find_code(*reader, bob, code.code).has_value());
  clock.advance(seconds(60));
  EXPECT_TRUE(run_coroutine(web.approve_code(ada, code.code)).has_value());
}

TEST_F(WebLoginsTest, ACrossingGivesACookieOfOneWorkspace) {
  const auto made = login();
  const std::string code = run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).value();
  const auto crossed = run_coroutine(web.redeem_crossing(code));
  ASSERT_TRUE(crossed.has_value());
  EXPECT_EQ(crossed->place.owner + "/" + crossed->place.workspace, "ada/main");
  EXPECT_EQ(crossed->valid.session.id, made.session.id);
  EXPECT_EQ(run_coroutine(web.redeem_crossing(code)).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(web.check_workspace_cookie(*reader, crossed->cookie, {"ada", "main", ""}));
  EXPECT_FALSE(web.check_workspace_cookie(*reader, crossed->cookie, {"ada", "nlp", ""}));
  EXPECT_FALSE(web.check_workspace_cookie(*reader, crossed->cookie, {"bob", "main", ""}));
  EXPECT_FALSE(web.check_workspace_cookie(*reader, made.cookie, {"ada", "main", ""}));
  EXPECT_FALSE(web.check(*reader, crossed->cookie));
  EXPECT_TRUE(run_coroutine(web.end(ada, made.session.id)).has_value());
  EXPECT_FALSE(web.check_workspace_cookie(*reader, crossed->cookie, {"ada", "main", ""}));
}

TEST_F(WebLoginsTest, ACrossingLastsThirtySecondsAndNeedsItsSession) {
  const auto made = login();
  const std::string late = run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).value();
  clock.advance(seconds(30));
  EXPECT_EQ(run_coroutine(web.redeem_crossing(late)).error().kind, ErrorKind::not_found);
  const std::string code = run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).value();
  run_coroutine(directory.revoke_key(admin, key.fingerprint));
  EXPECT_EQ(run_coroutine(web.redeem_crossing(code)).error().kind, ErrorKind::not_found);
  EXPECT_EQ(run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).error().kind, ErrorKind::denied);
}

TEST_F(WebLoginsTest, OnlyAFewCookiesOfAWorkspaceAreKept) {
  const auto made = login();
  std::vector<std::string> cookies;
  for (int i = 0; i < 20; ++i) {
    cookies.push_back(run_coroutine(web.redeem_crossing(run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).value()))->cookie);
    clock.advance(seconds(1));
  }
  EXPECT_FALSE(web.check_workspace_cookie(*reader, cookies[3], {"ada", "main", ""}));
  EXPECT_TRUE(web.check_workspace_cookie(*reader, cookies[4], {"ada", "main", ""}));
  EXPECT_TRUE(web.check_workspace_cookie(*reader, cookies[19], {"ada", "main", ""}));
}

TEST_F(WebLoginsTest, NoSecretIsInTheStore) {
  const auto code = ask("192.0.2.1:5").value();
  const std::string token = run_coroutine(web.make_link(ada)).value();
  const auto made = login();
  const std::string crossing = run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).value();
  const auto crossed = run_coroutine(web.redeem_crossing(run_coroutine(web.make_crossing(made.session.id, {"ada", "main", ""})).value())).value();
  SQLite::Statement tables(*reader, "SELECT name FROM sqlite_master WHERE type = 'table'");
  while (tables.executeStep()) {
    SQLite::Statement row(*reader, "SELECT * FROM " + tables.getColumn(0).getString());
    while (row.executeStep()) {
      for (int i = 0; i < row.getColumnCount(); ++i) {
        const std::string value = row.getColumn(i).getString();
        for (const std::string& secret : {code.code, code.browser_secret, token, made.cookie, crossing, crossed.cookie}) {
          EXPECT_EQ(value.find(secret), std::string::npos) << tables.getColumn(0).getString();
        }
      }
    }
  }
}

TEST(WebNetwork, OfAddresses) {
  struct Case {
    const char *address, *network;
  };
  for (const Case& c : {Case{"192.0.2.1:5", "192.0.2.1"}, Case{"192.0.2.1", "192.0.2.1"}, Case{"[2001:db8:1:2:3:4:5:6]:5", "2001:db8:1:2::/64"},
                        Case{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"}, Case{"::ffff:192.0.2.1", "192.0.2.1"},
                        Case{"[::ffff:192.0.2.1]:7", "192.0.2.1"}, Case{"unix", "unix"}}) {
    EXPECT_EQ(network_of(c.address), c.network);
  }
}

}  // namespace
}  // namespace berth::auth
