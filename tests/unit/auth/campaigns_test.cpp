#include "auth/campaigns.hpp"

#include "auth/key_notices.hpp"
#include "key_life_fixture.hpp"

namespace berth::auth {
namespace {
using std::chrono::days;

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

}  // namespace
}  // namespace berth::auth
