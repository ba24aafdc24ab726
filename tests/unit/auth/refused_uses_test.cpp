#include "auth/refused_uses.hpp"

#include <gtest/gtest.h>

namespace berth::auth {
namespace {
using std::chrono::days;

TEST(RefusedUses, OneRowAndThenOneInTenMinutes) {
  RefusedUses uses;
  Timestamp now{days(20'000)};
  EXPECT_EQ(uses.take("k", "192.0.2.1:1", false, now), 0u);
  EXPECT_EQ(uses.take("k", "192.0.2.1:2", false, now), std::nullopt);
  EXPECT_EQ(uses.take("k", "192.0.2.1:3", true, now), 0u);  // a proof is news
  EXPECT_EQ(uses.take("k", "192.0.2.2:1", false, now), 0u);
  EXPECT_EQ(uses.take("l", "192.0.2.1:1", false, now), 0u);
  now += std::chrono::minutes(9);
  EXPECT_EQ(uses.take("k", "192.0.2.1:4", false, now), std::nullopt);
  now += std::chrono::minutes(1);
  EXPECT_EQ(uses.take("k", "192.0.2.1:5", false, now), 2u);
  std::size_t rows = 0;
  for (int i = 0; i < 5000; ++i) rows += uses.take("k" + std::to_string(i), "192.0.2.1:5", false, now).has_value() ? 1 : 0;
  EXPECT_LT(rows, 601u);
}

}  // namespace
}  // namespace berth::auth
