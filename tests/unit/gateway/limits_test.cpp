#include "server/gateway/limits.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

TEST(ConnectionLimits, PlacesBeforeLoginComeBack) {
  ConnectionLimits limits(2, 10);
  auto first = limits.before_login();
  auto second = limits.before_login();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(limits.before_login());
  first.give_back();
  first.give_back();  // once is enough
  EXPECT_TRUE(limits.before_login());
}

TEST(ConnectionLimits, UsersAreCountedApart) {
  ConnectionLimits limits(10, 1);
  const auto ada = limits.of_user("ada");
  EXPECT_TRUE(ada);
  EXPECT_FALSE(limits.of_user("ada"));
  EXPECT_TRUE(limits.of_user("bob"));
}

TEST(ConnectionLimits, MovingAPlaceMovesTheCount) {
  ConnectionLimits limits(1, 1);
  {
    auto place = limits.before_login();
    ConnectionLimits::Place moved = std::move(place);
    EXPECT_FALSE(place);  // NOLINT(bugprone-use-after-move): that it is empty is the point
    EXPECT_FALSE(limits.before_login());
  }
  EXPECT_TRUE(limits.before_login());
}

}  // namespace
}  // namespace berth::server
