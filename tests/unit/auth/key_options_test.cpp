#include "auth/key_options.hpp"

#include <gtest/gtest.h>

#include <random>

namespace berth::auth {
namespace {

std::string normal(std::string_view options) {
  const auto parsed = parse_key_options(options);
  return parsed ? parsed->text : "refused: " + parsed.error().message;
}

TEST(KeyOptions, HaveOneNormalForm) {
  struct Case {
    const char *given, *normal;
  };
  const Case cases[] = {
      {"", ""},
      {"no-pty", "no-pty"},
      {"NO-PTY,no-x11-FORWARDING", "no-pty,no-X11-forwarding"},
      {"restrict", "no-agent-forwarding,no-port-forwarding,no-pty,no-X11-forwarding"},
      {"restrict,pty,port-forwarding", "no-agent-forwarding,no-X11-forwarding"},
      {"pty,restrict", "no-agent-forwarding,no-port-forwarding,no-pty,no-X11-forwarding"},  // the last word counts
      {"no-pty,pty", ""},
      {"no-user-rc,user-rc", ""},
      {R"(command="echo \"hi, you\"",no-pty)", R"(command="echo \"hi, you\"",no-pty)"},
      {R"(from="10.0.0.0/8,!10.1.0.0/16")", R"(from="10.0.0.0/8,!10.1.0.0/16")"},
      {R"(environment="A=1",environment="B=x=y",environment="A=2")", R"(environment="A=1",environment="B=x=y")"},
      {R"(permitopen="[::1]:80",permitlisten="8080")", R"(permitopen="[::1]:80",permitlisten="*:8080")"},
      {R"(expiry-time="20300101Z",no-pty)", "no-pty"},
      {"verify-required", "verify-required"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(normal(c.given), c.normal);
    EXPECT_EQ(normal(c.normal), c.normal);
  }
}

TEST(KeyOptions, AreRefusedByName) {
  struct Case {
    const char *given, *part;
  };
  const Case cases[] = {
      {"no-pyt", "option no-pyt: Berth does not know it"},
      {"cert-authority", "berth ca add"},
      {"principals=\"ada\"", "berth ca add"},
      {"tunnel=\"1\"", "option tunnel"},
      {"no-touch-required", "option no-touch-required"},
      {"command", "option command: it needs a value"},
      {"command=ls", "must stand in quotes"},
      {"command=\"ls", "not closed"},
      {"command=\"\"", "empty"},
      {"command=\"a\",command=\"b\"", "there twice"},
      {"no-pty=\"1\"", "takes no value"},
      {"no-pty,", "another option must follow"},
      {"no-pty,,no-pty", "malformed"},
      {",no-pty", "malformed"},
      {"command=\"a\"no-pty", "a comma"},
      {"from=\"*.example.com\"", "option from"},
      {"from=\"10.0.0.0/8\",from=\"*\"", "there twice"},
      {"environment=\"PATH\"", "NAME=VALUE"},
      {"environment=\"A B=1\"", "NAME=VALUE"},
      {"environment=\"1A=1\"", "NAME=VALUE"},
      {"permitopen=\"8080\"", "HOST:PORT"},
      {"permitopen=\"db:0\"", "port"},
      {"permitopen=\"db:70000\"", "port"},
      {"permitopen=\"db:80x\"", "port"},
      {"permitopen=\"::1:80\"", "in [ ]"},
      {"permitopen=\":80\"", "HOST:PORT"},
      {"permitlisten=\"x\"", "port"},
      {"expiry-time=\"tomorrow\"", "YYYYMMDD"},
      {"expiry-time=\"20301301Z\"", "no such time"},
      {"expiry-time=\"20300230Z\"", "no such time"},
      {"expiry-time=\"203001012500Z\"", "no such time"},
      {"command=\"a\nb\"", "control character"},
  };
  for (const Case& c : cases) EXPECT_NE(normal(c.given).find(c.part), std::string::npos) << c.given << ": " << normal(c.given);
  EXPECT_EQ(parse_key_options(std::string(9000, 'x')).error().kind, ErrorKind::too_large);
}

TEST(KeyOptions, ExpiryTime) {
  const auto at = [](const char* text) { return format_timestamp(parse_key_options("expiry-time=\"" + std::string(text) + "\"").value().expires_at); };
  EXPECT_EQ(at("20300131Z"), "2030-01-31T00:00:00.000000Z");
  EXPECT_EQ(at("203001312359Z"), "2030-01-31T23:59:00.000000Z");
  EXPECT_EQ(at("20300131235958Z"), "2030-01-31T23:59:58.000000Z");
}

bool is_type(std::string_view word) { return word == "ssh-ed25519"; }

TEST(AuthorizedLine, IsSplitAtTheBlankOutsideQuotes) {
  const auto line = split_authorized_line(R"(  command="a b \" c",no-pty ssh-ed25519 AAAA me@there)", is_type);
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->options, R"(command="a b \" c",no-pty)");
  EXPECT_EQ(line->key, "ssh-ed25519 AAAA me@there");
  EXPECT_EQ(split_authorized_line("ssh-ed25519 AAAA", is_type)->options, "");
  EXPECT_EQ(split_authorized_line("hello world", is_type)->key, "hello world");
  EXPECT_TRUE(split_authorized_line("command=\"x ssh-ed25519 AAAA", is_type).has_error());
}

// Whatever comes: what is accepted has a normal form that means the same.
TEST(KeyOptions, SurviveMutations) {
  std::mt19937 random(7);
  const std::string seeds[] = {R"(restrict,pty,command="x \"y\"",from="10.0.0.0/8,!10.1.*")", R"(permitopen="[::1]:80",permitlisten="*:*",environment="A=b")",
                               R"(expiry-time="20300101Z",verify-required,no-pty)"};
  for (int i = 0; i < 20000; ++i) {
    std::string text = seeds[random() % std::size(seeds)];
    for (unsigned n = random() % 4; n > 0 && !text.empty(); --n) {
      const std::size_t at = random() % text.size();
      if (random() % 2) {
        text[at] = "\"\\,= x1*"[random() % 8];
      } else {
        text.erase(at, 1 + random() % 3);
      }
    }
    const auto parsed = parse_key_options(text);
    if (!parsed) continue;
    const auto again = parse_key_options(parsed->text);
    ASSERT_TRUE(again.has_value()) << text << " -> " << parsed->text;
    ASSERT_EQ(again->text, parsed->text);
    ASSERT_EQ(again->permissions.restriction(), parsed->permissions.restriction());
    ASSERT_EQ(again->permissions.forced_command, parsed->permissions.forced_command);
    ASSERT_EQ(again->permissions.from, parsed->permissions.from);
  }
}

}  // namespace
}  // namespace berth::auth
