#include "server/gateway/attach.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

TEST(Attach, IsToldFromOtherCommands) {
  for (const char* line : {"berth attach", "berth attach k7qp2 --watch", " berth  'attach'"}) EXPECT_TRUE(is_attach_command(line)) << line;
  for (const char* line : {"berth", "berth attached", "attach", "berth 'attach", "echo berth attach", ""}) EXPECT_FALSE(is_attach_command(line)) << line;
}

TEST(Attach, OptionsAndId) {
  const auto wish = parse_attach({"k7qp2", "--watch", "--alone"});
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->id, "k7qp2");
  EXPECT_TRUE(wish->watch_only && wish->alone);
  EXPECT_FALSE(wish->list || wish->brief || wish->help);
  EXPECT_TRUE(parse_attach({})->id.empty());
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"a", "b"}, {"--no"}, {""}}) EXPECT_EQ(parse_attach(wrong).error().kind, ErrorKind::invalid);
}

TEST(Attach, TheListSaysWhatEachIs) {
  const Timestamp now = Timestamp{} + std::chrono::hours(24 * 365 * 50);
  tunnels::TerminalInfo left{"aaaa", "vim notes", "", {80, 24}, now - std::chrono::hours(2), now - std::chrono::minutes(5), 0, 100, false, true};
  tunnels::TerminalInfo open{"bbbb", "", "top", {120, 40}, now - std::chrono::minutes(1), Timestamp{}, 2, 100, false, true};
  const std::string text = describe_terminals({left, open}, now);
  for (const char* part : {"aaaa", "2h ago", "left 5m ago", "80x24", "vim notes", "bbbb", "open, 2 viewers", "120x40", "top"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
}

}  // namespace
}  // namespace berth::server
