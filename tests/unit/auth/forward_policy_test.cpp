#include "auth/forward_policy.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/auth/auth_fixture.hpp"

namespace berth::auth {
namespace {
using nlohmann::json;
using Texts = std::vector<std::string>;

const ForwardRules kSite{Texts{"local", "remote", "unix", "agent", "x11"}, Texts{"any"}, Texts{"any"}};

bool may_connect(const ForwardRules& user, std::string_view host, std::uint32_t port) { return ForwardPolicy(kSite, user).refusal_to_connect(host, port).empty(); }
bool may_listen(const ForwardRules& user, std::string_view host, std::uint32_t port) { return ForwardPolicy(kSite, user).refusal_to_listen(host, port).empty(); }

TEST(ForwardPolicy, IsTheSitesWhereTheUserHasNone) {
  EXPECT_TRUE(may_connect({}, "db.example", 5432));
  EXPECT_TRUE(may_listen({}, "", 0));
  const ForwardRules strict{Texts{"local"}, Texts{"localhost:8000"}, Texts{"none"}};
  const ForwardPolicy policy(strict, {});
  EXPECT_EQ(policy.refusal_to_connect("localhost", 8000), "");
  EXPECT_EQ(policy.refusal_to_connect("localhost", 8001), kForwardNotThereBySite);
  EXPECT_EQ(policy.refusal_to_listen("localhost", 8000), kForwardNotBySite);
  EXPECT_EQ(policy.refusal_of("unix"), kForwardNotBySite);
}

// As a Match User block: what it sets replaces what is set for all, in both directions; what it does not set stays.
TEST(ForwardPolicy, OfAUserReplacesWhatItNames) {
  const ForwardRules none{Texts{}, Texts{"none"}, Texts{"none"}};
  const ForwardRules more{Texts{"local"}, std::nullopt, std::nullopt};
  EXPECT_EQ(ForwardPolicy(none, more).refusal_to_connect("localhost", 1), kForwardNotThereBySite);
  EXPECT_EQ(ForwardPolicy(none, {Texts{"local"}, Texts{"localhost:1"}, {}}).refusal_to_connect("localhost", 1), "");
  EXPECT_EQ(ForwardPolicy(kSite, {Texts{}, {}, {}}).refusal_of("agent"), kForwardNotByUser);
  EXPECT_EQ(ForwardPolicy(kSite, {Texts{"agent"}, {}, {}}).refusal_of("agent"), "");
  EXPECT_EQ(ForwardPolicy(kSite, {Texts{"agent"}, {}, {}}).refusal_to_connect("localhost", 1), kForwardNotByUser);
}

TEST(ForwardPolicy, ListsAreThoseOfSshd) {
  const ForwardRules rules{std::nullopt, Texts{"localhost:5432", "*:80", "db:*", "[::1]:9"}, Texts{"9000", "127.0.*:9001"}};
  EXPECT_TRUE(may_connect(rules, "localhost", 5432) && may_connect(rules, "anything", 80) && may_connect(rules, "db", 7) && may_connect(rules, "::1", 9));
  EXPECT_FALSE(may_connect(rules, "localhost", 5433) || may_connect(rules, "127.0.0.1", 5432) || may_connect(rules, "db2", 7));
  EXPECT_TRUE(may_listen(rules, "localhost", 9000) && may_listen(rules, "127.0.0.1", 9001));
  EXPECT_FALSE(may_listen(rules, "localhost", 9001) || may_listen(rules, "localhost", 0));
  EXPECT_EQ(ForwardPolicy(kSite, rules).refusal_of("unix"), "");
}

TEST(ForwardRules, AreRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "say what is set"},
      {R"([])", "object or null"},
      {R"({"kind":["local"]})", "'kind'"},
      {R"({"kinds":["lokal"]})", "lokal"},
      {R"({"kinds":"local"})", "list"},
      {R"({"kinds":[1]})", "texts"},
      {R"({"permit_open":[]})", "empty"},
      {R"({"permit_open":["8080"]})", "HOST:PORT"},
      {R"({"permit_open":["localhost:99999"]})", "port"},
      {R"({"permit_open":["any","localhost:1"]})", "beside any"},
      {R"({"permit_listen":["localhost:0"]})", "port"},
  };
  for (const auto& [text, says] : cases) {
    const auto rules = forward_rules_in(json::parse(text));
    ASSERT_TRUE(rules.has_error()) << text;
    EXPECT_NE(rules.error().message.find(says), std::string::npos) << rules.error().message;
  }
  const auto rules = forward_rules_in(json::parse(R"({"kinds":[],"permit_open":null,"permit_listen":["8080"]})"));
  ASSERT_TRUE(rules.has_value());
  EXPECT_EQ(stored_form(*rules), R"({"kinds":[],"permit_listen":["8080"]})");
  EXPECT_EQ(stored_form(stored_forward_rules(stored_form(*rules))), stored_form(*rules));
  EXPECT_EQ(stored_form({}), "");
  EXPECT_TRUE(stored_forward_rules("").empty());
  EXPECT_EQ(ForwardPolicy(kSite, stored_forward_rules("{broken")).refusal_of("local"), kForwardNotByUser);
}

TEST_F(AuthTest, ForwardsOfAUserAreStoredAndAudited) {
  add_user("ada");
  const Key key = add_key("ada", 1);
  const ForwardRules rules{Texts{"local"}, Texts{"localhost:5432"}, std::nullopt};
  EXPECT_EQ(run_coroutine(directory.set_forwards(Actor{"ada", Role::user, "198.51.100.7:5000", key.fingerprint}, "ada", rules)).error().kind, ErrorKind::denied);
  EXPECT_EQ(run_coroutine(directory.set_forwards(admin, "nobody-here", rules)).error().kind, ErrorKind::not_found);
  ASSERT_TRUE(run_coroutine(directory.set_forwards(admin, "ada", rules)).has_value());
  settle();
  const AuditRow row = audit.tail(*reader, 1).at(0);
  EXPECT_EQ(row.action + " " + row.object, R"(user.forwards ada {"kinds":["local"],"permit_open":["localhost:5432"]})");
  EXPECT_EQ(stored_form(directory.find_user(*reader, "ada")->forwards), stored_form(rules));
  ASSERT_TRUE(run_coroutine(directory.set_forwards(admin, "ada", std::nullopt)).has_value());
  EXPECT_TRUE(directory.find_user(*reader, "ada")->forwards.empty());
}

}  // namespace
}  // namespace berth::auth
