#include "server/gateway/source_tries.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::make_address;

class Tries : public testing::Test {
 protected:
  SourceTries tries{{4, 10, 100s, {*parse_ip_network("198.51.100.0/24")}}};
  SourceTries::TimePoint now = std::chrono::steady_clock::now();

  void fail(const char* address, int times) {
    for (int i = 0; i < times; ++i) tries.begin(make_address(address), now).failed(1, now);
  }
  bool refused(const char* address) {
    auto attempt = tries.begin(make_address(address), now);
    attempt.succeeded(now);
    return attempt.refused();
  }
  std::chrono::milliseconds delay(const char* address) {
    auto attempt = tries.begin(make_address(address), now);
    attempt.succeeded(now);
    return attempt.delay();
  }
};

TEST_F(Tries, FailuresSlowDownThenRefuse) {
  fail("203.0.113.7", 4);
  EXPECT_EQ(delay("203.0.113.7"), 0ms);
  fail("203.0.113.7", 2);
  EXPECT_EQ(delay("203.0.113.7"), 500ms);
  EXPECT_FALSE(refused("203.0.113.7"));
  fail("203.0.113.7", 4);
  EXPECT_TRUE(refused("203.0.113.7"));
  EXPECT_FALSE(refused("203.0.114.7"));
}

TEST_F(Tries, AreForgottenEvenly) {
  fail("203.0.113.7", 10);
  EXPECT_TRUE(refused("203.0.113.7"));
  now += 11s;
  EXPECT_FALSE(refused("203.0.113.7"));
  fail("203.0.113.7", 1);
  now += 1s;
  EXPECT_FALSE(refused("203.0.113.7"));
  now += 100s;
  EXPECT_EQ(delay("203.0.113.7"), 0ms);
}

TEST_F(Tries, ANetworkMayFourTimesAsMuch) {
  for (int host = 1; host <= 40; ++host) fail(("203.0.113." + std::to_string(host)).c_str(), 1);
  EXPECT_TRUE(refused("203.0.113.99"));
  EXPECT_FALSE(refused("203.0.112.99"));
}

TEST_F(Tries, OneIpv6CustomerIsOneAddress) {
  for (int host = 1; host <= 10; ++host) fail(("2001:db8:1:2::" + std::to_string(host)).c_str(), 1);
  EXPECT_TRUE(refused("2001:db8:1:2:ffff::1"));
  EXPECT_FALSE(refused("2001:db8:1:3::1"));
  for (int net = 16; net < 48; ++net) fail(("2001:db8:1:" + std::to_string(net) + "::1").c_str(), 1);
  EXPECT_TRUE(refused("2001:db8:1:99::1"));
}

TEST_F(Tries, Ipv4InIpv6IsIpv4) {
  fail("::ffff:203.0.113.7", 10);
  EXPECT_TRUE(refused("203.0.113.7"));
  EXPECT_FALSE(refused("203.0.113.8"));
}

TEST_F(Tries, ConnectionsThatWaitCountUntilTheyHaveLoggedIn) {
  std::vector<SourceTries::Attempt> waiting;
  for (int i = 0; i < 10; ++i) waiting.push_back(tries.begin(make_address("203.0.113.7"), now));
  EXPECT_FALSE(waiting.back().refused());
  EXPECT_EQ(waiting.back().delay(), 0ms);
  EXPECT_TRUE(refused("203.0.113.7"));
  for (auto& attempt : waiting) attempt.succeeded(now);
  waiting.clear();
  EXPECT_FALSE(refused("203.0.113.7"));
  EXPECT_EQ(delay("203.0.113.7"), 0ms);
}

TEST_F(Tries, OneThatIsDroppedHasFailed) {
  for (int i = 0; i < 8; ++i) (void)tries.begin(make_address("203.0.113.7"), now);
  EXPECT_GT(delay("203.0.113.7"), 0ms);
}

TEST_F(Tries, ExemptOnesNeverCount) {
  fail("198.51.100.1", 50);
  EXPECT_FALSE(refused("198.51.100.1"));
  EXPECT_EQ(delay("198.51.100.1"), 0ms);
}

TEST_F(Tries, WrongSignaturesCountEach) {
  tries.begin(make_address("203.0.113.7"), now).failed(6, now);
  EXPECT_EQ(delay("203.0.113.7"), 500ms);
}

}  // namespace
}  // namespace berth::server
