#include "server/gateway/limits.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

LimitOptions options(Startups startups, int connections, int sessions = 1) {
  LimitOptions made;
  made.startups = startups;
  made.connections_per_user = connections;
  made.sessions_per_user = sessions;
  return made;
}

TEST(ConnectionLimits, PlacesBeforeLoginComeBack) {
  ConnectionLimits limits(options({2, 100, 2}, 10));
  auto first = limits.before_login();
  auto second = limits.before_login();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(limits.before_login());
  first.give_back();
  first.give_back();  // once is enough
  EXPECT_TRUE(limits.before_login());
}

TEST(ConnectionLimits, UsersAreCountedApartAndSessionsApartFromConnections) {
  ConnectionLimits limits(options({10, 100, 10}, 1));
  const auto ada = limits.of_user("ada");
  EXPECT_TRUE(ada);
  EXPECT_FALSE(limits.of_user("ada"));
  EXPECT_TRUE(limits.of_user("bob"));
  {
    const auto session = limits.session_of("ada");
    EXPECT_TRUE(session);
    EXPECT_FALSE(limits.session_of("ada"));
  }
  EXPECT_TRUE(limits.session_of("ada"));
}

TEST(ConnectionLimits, MovingAPlaceMovesTheCount) {
  ConnectionLimits limits(options({1, 100, 1}, 1));
  {
    auto place = limits.before_login();
    ConnectionLimits::Place moved = std::move(place);
    EXPECT_FALSE(place);  // NOLINT(bugprone-use-after-move): that it is empty is the point
    EXPECT_FALSE(limits.before_login());
  }
  EXPECT_TRUE(limits.before_login());
}

TEST(ConnectionLimits, TheChanceToBeDroppedGrowsFromStartToFull) {
  const Startups startups{10, 30, 60};
  EXPECT_EQ(drop_percent(startups, 0), 0);
  EXPECT_EQ(drop_percent(startups, 9), 0);
  EXPECT_EQ(drop_percent(startups, 10), 30);
  EXPECT_EQ(drop_percent(startups, 35), 65);
  EXPECT_EQ(drop_percent(startups, 59), 98);
  EXPECT_EQ(drop_percent(startups, 60), 100);
  EXPECT_EQ(drop_percent({5, 1, 5}, 4), 0);
  EXPECT_EQ(drop_percent({5, 1, 5}, 5), 100);
}

TEST(ConnectionLimits, EarlyDropFollowsTheRoll) {
  ConnectionLimits limits(options({0, 50, 2}, 1));
  EXPECT_FALSE(limits.before_login(49));
  const auto place = limits.before_login(50);
  EXPECT_TRUE(place);
  EXPECT_FALSE(limits.before_login(74));
}

}  // namespace
}  // namespace berth::server
