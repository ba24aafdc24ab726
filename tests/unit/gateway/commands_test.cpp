#include "server/gateway/commands.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

TEST(GatewayCommands, OnlyTheWordBerthIsTheGateways) {
  EXPECT_TRUE(is_gateway_command("berth"));
  EXPECT_TRUE(is_gateway_command("berth web"));
  EXPECT_FALSE(is_gateway_command("berthing"));
  EXPECT_FALSE(is_gateway_command("echo berth web"));
  EXPECT_FALSE(is_gateway_command(" berth web"));
}

TEST(GatewayCommands, WordsAreSplitAtBlanksOutsideQuotes) {
  EXPECT_EQ(split_words("berth approve BDGH-2345").value(), (std::vector<std::string>{"berth", "approve", "BDGH-2345"}));
  EXPECT_EQ(split_words("a  'b c'\t\"d 'e\" f''g").value(), (std::vector<std::string>{"a", "b c", "d 'e", "fg"}));
  EXPECT_EQ(split_words("a ''").value(), (std::vector<std::string>{"a", ""}));
  EXPECT_TRUE(split_words("").value().empty());
}

TEST(GatewayCommands, AnOpenQuoteIsAnError) {
  const auto words = split_words("berth approve 'BDGH");
  ASSERT_TRUE(words.has_error());
  EXPECT_EQ(words.error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace berth::server
