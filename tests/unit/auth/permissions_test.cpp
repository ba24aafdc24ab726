#include "auth/permissions.hpp"

#include <gtest/gtest.h>

#include "auth/key_options.hpp"

namespace berth::auth {
namespace {

TEST(SourceAllowed, FollowsFromOfSshd) {
  struct Case {
    const char *patterns, *address;
    bool allowed;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.1.2.3", true},
      {"10.0.0.0/8", "11.1.2.3", false},
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      {"::ffff:10.1.2.3", "10.1.2.3", true},
      {"203.0.113.7", "203.0.113.7", true},
      {"203.0.113.7", "203.0.113.70", false},
      {"203.0.113.*", "203.0.113.70", true},
      {"203.0.113.?", "203.0.113.70", false},
      {"*", "203.0.113.70", true},
      {"*,!203.0.113.70", "203.0.113.70", false},
      {"!203.0.113.70,*", "203.0.113.70", false},
      {"!203.0.113.0/24", "198.51.100.1", false},  // only refusals: nothing matches
      {"10.0.0.0/8,192.168.0.0/16", "192.168.3.4", true},
      {"2001:db8::/32", "2001:db8:1::5", true},
      {"2001:db8::/32", "2001:db9::5", false},
      {"2001:DB8:*", "2001:db8:1::5", true},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "2001:db8::1", true},
      {"10.0.0.1/8", "10.1.2.3", false},       // bits right of the network
      {"10.0.0.0/33", "10.1.2.3", false},
      {"10.0.0.0/", "10.1.2.3", false},
      {"10.0.0.0/8x", "10.1.2.3", false},
      {"10.0.0.0/8,", "10.1.2.3", false},      // malformed: matches nothing
      {"", "10.1.2.3", false},
      {"!", "10.1.2.3", false},
      {"*.example.com", "10.1.2.3", false},
      {"10.0.0.0/8", "nonsense", false},
      {"fe80::/10", "fe80::1%eth0", false},
  };
  for (const Case& c : cases) EXPECT_EQ(source_allowed(c.patterns, c.address), c.allowed) << c.patterns << " " << c.address;
}

TEST(SourceAllowed, HostNamesAreRefusedByName) {
  EXPECT_NE(check_sources("10.0.0.0/8,*.example.com").find("*.example.com"), std::string::npos);
  EXPECT_NE(check_sources("laptop").find("not looked up"), std::string::npos);
  EXPECT_EQ(check_sources("10.0.0.0/8,!10.1.*,2001:db8::/32"), "");
  EXPECT_EQ(check_networks("10.0.0.0/8,2001:db8::1"), "");
  EXPECT_NE(check_networks("10.*"), "");
  EXPECT_NE(check_networks("!10.0.0.0/8"), "");
}

TEST(Wildcards, TakeLinearTime) {
  EXPECT_TRUE(matches_wildcard("abcabc", "*bc"));
  EXPECT_TRUE(matches_wildcard("", "*"));
  EXPECT_FALSE(matches_wildcard("", "?"));
  EXPECT_FALSE(matches_wildcard(std::string(5000, 'a'), std::string(40, '*') + "b"));
}

Permissions of(std::string_view options) {
  const auto parsed = parse_key_options(options);
  EXPECT_TRUE(parsed.has_value()) << options << ": " << parsed.error().message;
  return parsed ? parsed->permissions : Permissions{};
}

TEST(Permissions, ForwardsByTheList) {
  const Permissions free;
  EXPECT_TRUE(free.may_connect("anything", 22));
  EXPECT_TRUE(free.may_connect_unix());
  EXPECT_TRUE(free.may_listen("", 0));
  const Permissions some = of(R"(permitopen="db:5432",permitopen="[2001:db8::1]:80",permitopen="*:443",permitlisten="localhost:8080",permitlisten="9*:*")");
  EXPECT_TRUE(some.may_connect("db", 5432));
  EXPECT_TRUE(some.may_connect("DB", 5432));
  EXPECT_FALSE(some.may_connect("db", 5433));
  EXPECT_FALSE(some.may_connect("db.example", 5432));
  EXPECT_TRUE(some.may_connect("2001:db8::1", 80));
  EXPECT_TRUE(some.may_connect("whatever", 443));
  EXPECT_FALSE(some.may_connect("whatever", 65536 + 443));
  EXPECT_FALSE(some.may_connect_unix());
  EXPECT_TRUE(some.may_listen("localhost", 8080));
  EXPECT_FALSE(some.may_listen("0.0.0.0", 8080));
  EXPECT_FALSE(some.may_listen("localhost", 0));
  EXPECT_FALSE(some.may_listen_unix());
  const Permissions none = of("no-port-forwarding");
  EXPECT_FALSE(none.may_connect("db", 5432) || none.may_connect_unix() || none.may_listen("", 1) || none.may_listen_unix());
  const Permissions bare = of("permitlisten=\"8080\"");
  EXPECT_TRUE(bare.may_listen("", 8080) && bare.may_listen("localhost", 8080) && !bare.may_listen("", 8081));
}

TEST(Permissions, SayWhatTheyRestrict) {
  EXPECT_EQ(of("").restriction(), "");
  EXPECT_EQ(of("from=\"10.0.0.0/8\",environment=\"A=b\"").restriction(), "");
  EXPECT_EQ(of("no-pty").restriction(), "no-pty");
  EXPECT_EQ(of("command=\"x\"").restriction(), "command");
  EXPECT_NE(of("restrict").restriction(), "");
  EXPECT_EQ(of("permitopen=\"a:1\"").restriction(), "permitopen");
}

}  // namespace
}  // namespace berth::auth
