#include "base/histogram.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {
using std::chrono::microseconds;

TEST(Histogram, CountsIntoBucketsThatHoldWhatIsBelow) {
  Histogram latency;
  for (const int us : {0, 500, 501, 1'000'000, 99'000'000}) latency.observe(microseconds(us));
  EXPECT_EQ(latency.count(), 5u);
  std::string out;
  latency.append_to(out, "x_seconds", "lane=\"0\"");
  EXPECT_NE(out.find("x_seconds_bucket{lane=\"0\",le=\"0.0005\"} 2\n"), std::string::npos) << out;
  EXPECT_NE(out.find("x_seconds_bucket{lane=\"0\",le=\"0.001\"} 3\n"), std::string::npos) << out;
  EXPECT_NE(out.find("x_seconds_bucket{lane=\"0\",le=\"1\"} 4\n"), std::string::npos) << out;
  EXPECT_NE(out.find("x_seconds_bucket{lane=\"0\",le=\"10\"} 4\n"), std::string::npos) << out;
  EXPECT_NE(out.find("x_seconds_bucket{lane=\"0\",le=\"+Inf\"} 5\n"), std::string::npos) << out;
  EXPECT_NE(out.find("x_seconds_sum{lane=\"0\"} 100.001001\nx_seconds_count{lane=\"0\"} 5\n"), std::string::npos) << out;
}

TEST(Histogram, WithoutLabels) {
  Histogram latency;
  latency.observe(microseconds(-5));
  std::string out;
  latency.append_to(out, "y", "");
  EXPECT_NE(out.find("y_bucket{le=\"0.0005\"} 1\n"), std::string::npos) << out;
  EXPECT_NE(out.find("y_sum 0\ny_count 1\n"), std::string::npos) << out;
}

}  // namespace
}  // namespace berth
