#include "auth/sessions.hpp"

#include "auth/host_keys.hpp"
#include "auth_fixture.hpp"

namespace berth::auth {
namespace {

class SessionsTest : public AuthTest {
 protected:
  boost::asio::io_context io;
  std::unique_ptr<Sessions> sessions = std::make_unique<Sessions>(*store, clock);
  std::vector<std::string> told;

  std::shared_ptr<LiveSession> open(const std::string& user, const std::string& kind, const std::string& key = "SHA256:k") {
    clock.advance(std::chrono::seconds(1));
    SessionRecord record;
    record.user = user;
    record.kind = kind;
    record.key_fingerprint = key;
    record.client_address = "203.0.113.7:51514";
    return sessions->open(record, io.get_executor(), [this, user](std::string reason) { told.push_back(user + ": " + reason); });
  }
};

TEST_F(SessionsTest, ARowFromOpenToClose) {
  const auto session = open("ada", "exec");
  session->bytes_in = 10;
  session->bytes_out = 20;
  auto live = sessions->live();
  ASSERT_EQ(live.size(), 1u);
  EXPECT_EQ(live[0].bytes_out, 20u);
  EXPECT_EQ(live[0].id.size(), 11u);
  settle();
  EXPECT_EQ(sessions->history(*reader, 10).at(0).bytes_in, 10u);  // as it is now, not as stored
  clock.advance(std::chrono::seconds(5));
  sessions->close(session, "exit 0");
  sessions->close(session, "exit 1");  // the first word counts
  EXPECT_TRUE(sessions->live().empty());
  settle();
  const auto row = sessions->history(*reader, 10).at(0);
  EXPECT_EQ(row.outcome, "exit 0");
  EXPECT_EQ(row.closed_at - row.opened_at, std::chrono::seconds(5));
  EXPECT_EQ(row.bytes_in, 10u);
}

TEST_F(SessionsTest, KillReachesTheExecutor) {
  const auto a = open("ada", "shell"), b = open("ada", "tunnel", "SHA256:other"), c = open("bob", "shell", "SHA256:other");
  EXPECT_EQ(sessions->kill_user("ada", "bye"), 2u);
  EXPECT_TRUE(told.empty());  // not on this thread: on the session's executor
  io.run();
  EXPECT_EQ(told, (std::vector<std::string>{"ada: bye", "ada: bye"}));
  io.restart();
  EXPECT_EQ(sessions->kill_key("SHA256:other", "revoked"), 2u);
  EXPECT_EQ(sessions->kill(c->record().id, "again"), 1u);
  sessions->close(c, "client left");  // before the executor came to it: it is not told any more
  io.run();
  EXPECT_EQ(told.size(), 3u);
  EXPECT_EQ(sessions->kill("s-none", "x"), 0u);
}

TEST_F(SessionsTest, AKillHandlerMayCloseItsSession) {
  SessionRecord record;
  record.user = "ada";
  std::shared_ptr<LiveSession> session;
  session = sessions->open(record, io.get_executor(), [this, &session, text = std::string(100, 'x')](const std::string& reason) {
    sessions->close(session, "killed: " + reason);
    told.push_back(text);  // the handler itself is still alive
  });
  EXPECT_EQ(sessions->kill_user("ada", "bye"), 1u);
  io.run();
  EXPECT_EQ(told, (std::vector<std::string>{std::string(100, 'x')}));
  settle();
  EXPECT_EQ(sessions->history(*reader, 1).at(0).outcome, "killed: bye");
}

TEST_F(SessionsTest, CountsByUserAndKind) {
  const auto a = open("ada", "connection"), b = open("ada", "connection"), c = open("ada", "shell");
  EXPECT_EQ(sessions->count("ada", "connection"), 2u);
  sessions->close(a, "x");
  EXPECT_EQ(sessions->count("ada", "connection"), 1u);
  sessions->close(b, "x");
  EXPECT_EQ(sessions->count("ada", "connection"), 0u);
  EXPECT_EQ(sessions->count("bob", "connection"), 0u);
}

TEST_F(SessionsTest, HistoryIsNewestFirstAndByUser) {
  for (int i = 0; i < 5; ++i) sessions->close(open(i % 2 ? "bob" : "ada", "exec"), "exit " + std::to_string(i));
  settle();
  const auto all = sessions->history(*reader, 3);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].outcome, "exit 4");
  const auto bob = sessions->history(*reader, 100, "bob");
  ASSERT_EQ(bob.size(), 2u);
  EXPECT_EQ(bob[0].outcome, "exit 3");
}

TEST_F(SessionsTest, LeftoversAreClosedAtStart) {
  const auto session = open("ada", "shell");
  settle();
  Sessions after_kill(*store, clock);
  ASSERT_TRUE(after_kill.close_leftovers().has_value());
  EXPECT_EQ(reader->execAndGet("SELECT outcome FROM sessions").getString(), "berthd restarted");
  EXPECT_EQ(reader->execAndGet("SELECT count(*) FROM sessions WHERE closed_at = 0").getInt(), 0);
}

// An upgrade: two processes have sessions in one store.
TEST_F(SessionsTest, OneSeesAndEndsWhatTheOtherHasOpen) {
  Sessions old(*store, clock, "old"), fresh(*store, clock, "fresh");
  SessionRecord record;
  record.user = "ada";
  record.kind = "connection";
  const auto theirs = old.open(record, io.get_executor(), nullptr), ours = fresh.open(record, io.get_executor(), nullptr);
  settle();
  ASSERT_EQ(fresh.elsewhere(*reader).size(), 1u);
  EXPECT_EQ(fresh.elsewhere(*reader)[0].id, theirs->record().id);
  EXPECT_EQ(old.elsewhere(*reader)[0].id, ours->record().id);
  theirs->bytes_in = 70;
  old.save_counters();
  settle();
  EXPECT_EQ(fresh.elsewhere(*reader)[0].bytes_in, 70u);
  fresh.kill_elsewhere(theirs->record().id, "ended by root");
  settle();
  EXPECT_TRUE(fresh.asked_to_end(*reader).empty());
  EXPECT_EQ(old.asked_to_end(*reader), (std::vector<std::pair<std::string, std::string>>{{theirs->record().id, "ended by root"}}));
  old.close(theirs, "killed");
  old.save_counters();
  settle();
  EXPECT_TRUE(old.asked_to_end(*reader).empty());
  EXPECT_TRUE(fresh.elsewhere(*reader).empty());
}

TEST_F(SessionsTest, LeftoversOfThoseThatRunStayOpen) {
  Sessions killed(*store, clock, "killed"), alive(*store, clock, "alive"), fresh(*store, clock, "fresh");
  SessionRecord record;
  record.user = "ada";
  const auto a = killed.open(record, io.get_executor(), nullptr), b = alive.open(record, io.get_executor(), nullptr);
  settle();
  ASSERT_TRUE(fresh.close_leftovers({"alive"}).has_value());
  ASSERT_EQ(fresh.elsewhere(*reader).size(), 1u);
  EXPECT_EQ(fresh.elsewhere(*reader)[0].id, b->record().id);
  fresh.close_rows_of("alive");
  settle();
  EXPECT_TRUE(fresh.elsewhere(*reader).empty());
  EXPECT_EQ(fresh.history(*reader, 10).size(), 2u);
}

TEST_F(SessionsTest, AnOrderlyEndClosesWhatIsOpen) {
  const auto session = open("ada", "shell");
  sessions.reset();
  settle();
  EXPECT_EQ(reader->execAndGet("SELECT outcome FROM sessions").getString(), "berthd stopped");
}

TEST_F(SessionsTest, HostileDetailIsHarmless) {
  SessionRecord record;
  record.detail = "rm \x1b]0;x\x07 " + std::string(1000, 'y');
  const auto session = sessions->open(record, io.get_executor(), nullptr);
  EXPECT_LE(session->record().detail.size(), 256u);
  EXPECT_TRUE(session->record().detail.starts_with("rm \\x1b]0;x\\x07 "));
  sessions->kill(session->record().id, "no handler");
  io.run();
}

TEST_F(AuthTest, SecretsStay) {
  const auto secret = load_or_make_secret(*store, "jupyter");
  EXPECT_EQ(secret->size(), 32u);
  EXPECT_EQ(*load_or_make_secret(*store, "jupyter"), *secret);
  EXPECT_NE(*load_or_make_secret(*store, "other"), *secret);
}

}  // namespace
}  // namespace berth::auth
