#include "server/gateway/side_forwards.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

ssh::X11Request request(std::string protocol, std::string cookie, std::uint32_t screen = 0) { return {false, std::move(protocol), std::move(cookie), screen}; }

TEST(Xauthority, HoldsOneEntryForAnyAddressAndOneForTheLoopback) {
  const std::string file = xauthority(request("MIT-MAGIC-COOKIE-1", "00Ff10"), 10);
  const std::string rest = std::string("\0\2" "10" "\0\x12" "MIT-MAGIC-COOKIE-1" "\0\3\0\xff\x10", 2 + 2 + 2 + 18 + 5);
  EXPECT_EQ(file, std::string("\xff\xff\0\0", 4) + rest + std::string("\0\0\0\4\x7f\0\0\1", 8) + rest);
}

TEST(Xauthority, IsNotMadeOfWhatIsNoCookie) {
  EXPECT_EQ(xauthority(request("MIT-MAGIC-COOKIE-1", ""), 10), "");
  EXPECT_EQ(xauthority(request("MIT-MAGIC-COOKIE-1", "abc"), 10), "");
  EXPECT_EQ(xauthority(request("MIT-MAGIC-COOKIE-1", "zz"), 10), "");
  EXPECT_EQ(xauthority(request("MIT-MAGIC-COOKIE-1", std::string(2 * 129, '0')), 10), "");
  EXPECT_EQ(xauthority(request("", "00"), 10), "");
  EXPECT_EQ(xauthority(request("A\nB", "00"), 10), "");
  EXPECT_EQ(xauthority(request("A", "00", 256), 10), "");
}

}  // namespace
}  // namespace berth::server
