// What a terminal's output leaves behind, without a terminal.
#include <gtest/gtest.h>

#include "agent/output_state.hpp"
#include "agent/scrollback.hpp"

namespace berth::agent {
namespace {

TEST(OutputState, FollowsTitleAndModesHoweverTheyAreCut) {
  const std::string output = "plain \x1b[31mred\x1b[0m \x1b]0;vim notes\a\x1b[?1049h\x1b[?1000;1006h\x1b[?25l\x1b]2;other\x1b\\";
  OutputState whole, bytes;
  EXPECT_TRUE(whole.feed(output));
  for (char c : output) bytes.feed({&c, 1});
  for (const auto* state : {&whole, &bytes}) {
    EXPECT_EQ(state->title(), "other");
    EXPECT_TRUE(state->alternate_screen());
    EXPECT_EQ(state->restore(), "\x1b[?1000h\x1b[?1006h\x1b[?1049h\x1b[?25l");
  }
  whole.feed("\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1006l");
  EXPECT_FALSE(whole.alternate_screen());
  EXPECT_EQ(whole.restore(), "");
}

TEST(OutputState, AFullResetEndsAll) {
  OutputState state;
  state.feed("\x1b[?1049h\x1b[?25l\x1b" "c");
  EXPECT_EQ(state.restore(), "");
}

TEST(OutputState, WhatNeverEndsIsBounded) {
  OutputState state;
  state.feed("\x1b]0;" + std::string(1'000'000, 'x') + "\a");
  EXPECT_EQ(state.title(), "");
  state.feed("\x1b[?" + std::string(1000, '1') + "h\x1b[?99999999999999999999h");
  EXPECT_EQ(state.restore(), "");
  state.feed("\x1b]2;" + std::string(250, 'y') + "\a");
  EXPECT_EQ(state.title().size(), OutputState::kMaxTitle);
}

std::string all_of(const Scrollback& output, std::uint64_t from) {
  std::string text;
  for (auto part = output.from(from); !part.empty(); part = output.from(from + text.size())) text += part;
  return text;
}

TEST(Scrollback, GivesWhatItGotFromAnyOffset) {
  Scrollback output;
  std::string all;
  for (int i = 0; i < 20'000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    output.append(line);
    all += line;
  }
  EXPECT_EQ(output.end(), all.size());
  EXPECT_EQ(all_of(output, 0), all);
  EXPECT_EQ(all_of(output, 16'384), all.substr(16'384));
  EXPECT_EQ(all_of(output, all.size()), "");
}

TEST(Scrollback, DropsTheOldestAtTheStartOfALine) {
  Scrollback output;
  output.append("\x1b[?2004h");
  for (int i = 0; i < 20'000; ++i) {
    output.append("line " + std::to_string(i) + "\n");
    output.shrink_to(100'000);
  }
  EXPECT_LE(output.size(), 100'000u);
  EXPECT_GT(output.size(), 99'000u);
  EXPECT_TRUE(output.from(0).starts_with("line "));
  EXPECT_TRUE(all_of(output, output.begin()).ends_with("line 19999\n"));
  EXPECT_EQ(output.state_at(output.begin()).restore(), "\x1b[?2004h") << "what was dropped still counts";
}

TEST(Scrollback, OneEndlessLineIsCutSomewhere) {
  Scrollback output;
  for (int i = 0; i < 100; ++i) {
    output.append(std::string(10'000, 'x'));
    output.shrink_to(50'000);
  }
  EXPECT_LE(output.size(), 50'000u);
  output.shrink_to(0);
  EXPECT_EQ(output.size(), 0u);
  output.append("after");
  EXPECT_EQ(all_of(output, output.begin()), "after");
}

TEST(Scrollback, TenThousandLinesFit) {
  Scrollback output;
  const std::string line = std::string(200, 'x') + "\n";
  for (int i = 0; i < 30'000; ++i) {
    output.append(line);
    output.shrink_to(4 * 1024 * 1024);
  }
  EXPECT_GE(output.size() / line.size(), 10'000u);
}

}  // namespace
}  // namespace berth::agent
