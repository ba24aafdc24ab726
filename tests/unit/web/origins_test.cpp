#include "web/origins.hpp"

#include <gtest/gtest.h>

#include "web/rate_limit.hpp"

namespace berth::web {
namespace {

TEST(Origins, FollowTheHostThatTheBrowserUsed) {
  Origins origins("", "", 0, 0);
  origins.bound(Face::portal, 8443);
  origins.bound(Face::workspaces, 8444);
  EXPECT_EQ(origins.origin(Face::workspaces, Face::portal, "box:8443", true), "https://box:8444");
  EXPECT_EQ(origins.origin(Face::portal, Face::workspaces, "[::1]:8444", true), "https://[::1]:8443");
  EXPECT_EQ(origins.origin(Face::portal, Face::portal, "127.0.0.1:8443", true), "https://127.0.0.1:8443");
  EXPECT_TRUE(origins.is_own("https://box:8443", Face::portal, "box:8443", true));
  EXPECT_FALSE(origins.is_own("https://box:8444", Face::portal, "box:8443", true));
  EXPECT_FALSE(origins.is_own("http://box:8443", Face::portal, "box:8443", true));
  EXPECT_FALSE(origins.is_own("null", Face::portal, "box:8443", true));
}

TEST(Origins, UseTheConfiguredNamesWhereTheyApply) {
  Origins origins("https://box.example", "https://box.example:444", 8443, 8444);
  EXPECT_EQ(origins.origin(Face::workspaces, Face::portal, "BOX.example", true), "https://box.example:444");
  EXPECT_EQ(origins.origin(Face::workspaces, Face::portal, "10.0.0.1:8443", true), "https://10.0.0.1:8444");
  EXPECT_TRUE(origins.is_own("https://box.example", Face::portal, "inner:8443", false));  // another proxy changed Host
  EXPECT_FALSE(origins.is_own("https://box.example:444", Face::portal, "box.example", true));
}

TEST(Origins, LeaveTheDefaultPortOut) {
  const Origins origins("", "", 443, 8444);
  EXPECT_EQ(origins.origin(Face::portal, Face::workspaces, "box:8444", true), "https://box");
}

TEST(Origins, KnowTheHostsOfApplications) {
  const Origins origins("https://box.example", "https://box.example:8444", 8443, 8444, "box.example");
  EXPECT_EQ(origins.app_label("8000--main--ada.box.example:8444"), "8000--main--ada");
  EXPECT_EQ(origins.app_label("8000--Main--ADA.Box.Example"), "8000--main--ada");
  EXPECT_EQ(origins.app_label("a.b.box.example"), "a.b");
  for (const std::string_view other : {"box.example", "box.example:8444", ".box.example", "evilbox.example", "127.0.0.1:8444", "[::1]:8444", "x.box.example.evil"})
    EXPECT_FALSE(origins.app_label(other)) << other;
  EXPECT_EQ(origins.app_origin("8000--main--ada"), "https://8000--main--ada.box.example:8444");
  EXPECT_EQ(Origins("https://b", "https://b:444", 0, 0, "apps.b:443").app_origin("l"), "https://l.apps.b");
  EXPECT_FALSE(Origins("https://portal.b", "https://portal.b:444", 0, 0, "b").app_label("portal.b:8443"));
  EXPECT_FALSE(Origins("", "", 0, 0).app_label("8000--main--ada."));
}

TEST(RateLimit, RefillsWithTime) {
  RateLimit limit(2);
  RateLimit::TimePoint now{};
  EXPECT_TRUE(limit.allow("203.0.113.7", now));
  EXPECT_TRUE(limit.allow("203.0.113.7", now));
  EXPECT_FALSE(limit.allow("203.0.113.7", now));
  EXPECT_TRUE(limit.allow("203.0.113.8", now));
  EXPECT_TRUE(limit.allow("203.0.113.7", now + std::chrono::seconds(31)));
  EXPECT_FALSE(limit.allow("203.0.113.7", now + std::chrono::seconds(31)));
}

TEST(RateLimit, CountsIpv6ByNetwork) {
  RateLimit limit(1);
  EXPECT_TRUE(limit.allow("2001:db8::1", {}));
  EXPECT_FALSE(limit.allow("2001:db8::ffff:2", {}));
  EXPECT_TRUE(limit.allow("2001:db8:0:1::1", {}));
}

}  // namespace
}  // namespace berth::web
