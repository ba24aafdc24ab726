#include "base/table.hpp"

#include <gtest/gtest.h>

#include "base/human.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;

TEST(Printable, EscapesWhatChangesATerminal) {
  EXPECT_EQ(printable("plain \xc3\xa9 \xe6\x97\xa5"), "plain \xc3\xa9 \xe6\x97\xa5");
  EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(printable(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(printable("\xc2\x9b" "31m"), "\\u009b31m");      // C1 CSI
  EXPECT_EQ(printable("\xe2\x80\xae" "gpj"), "\\u202egpj");  // right-to-left override
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\xff\x41"), "\\xffA");
  EXPECT_EQ(printable("\xc0\x80"), "\\xc0\\x80");          // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xe6\x97"), "\\xe6\\x97");          // cut short
}

TEST(Printable, LinesKeepNewlinesOnly) { EXPECT_EQ(printable_lines("a\n\tb\r\x1b"), "a\n\tb\\r\\x1b"); }

TEST(Width, CountsColumns) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("\xc3\xa9"), 1U);
  EXPECT_EQ(display_width("\xe6\x97\xa5\xe6\x9c\xac"), 4U);
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);  // combining acute
}

TEST(Width, CutsAtACharacter) {
  EXPECT_EQ(cut_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(cut_to_width("abcdef", 4), "abc…");
  EXPECT_EQ(cut_to_width("\xe6\x97\xa5\xe6\x9c\xac", 3), "\xe6\x97\xa5…");
  EXPECT_EQ(cut_to_width("\xe6\x97\xa5\xe6\x9c\xac", 2), "…");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(Human, Sizes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(4096), "4.0 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(Human, Times) {
  const Timestamp now = parse_timestamp("2026-11-22T18:00:00Z").value();
  EXPECT_EQ(human_age(now - 12s, now), "12s ago");
  EXPECT_EQ(human_age(now - 90min, now), "90m ago");
  EXPECT_EQ(human_age(now - 49h, now), "2d ago");
  EXPECT_EQ(human_age(now + 49h, now), "in 2d");
  EXPECT_EQ(human_age(Timestamp{}, now), "never");
  EXPECT_EQ(human_time(now), "2026-11-22 18:00:00");
  EXPECT_EQ(human_span(41s), "41s");
  EXPECT_EQ(human_span(723s), "12m 03s");
  EXPECT_EQ(human_span(320min), "5h 20m");
  EXPECT_EQ(human_span(292h), "12d 4h");
}

TEST(Table, AlignsAndLeavesNoTrailingBlanks) {
  Table table({{"NAME"}, {"N", Align::right}, {"COMMENT"}});
  table.add({"ada", "7", "laptop"});
  table.add({"b\xc3\xb6rje", "12"});
  EXPECT_EQ(table.render({}),
            "NAME    N  COMMENT\n"
            "ada     7  laptop\n"
            "b\xc3\xb6rje  12\n");
}

TEST(Table, EmptyIsNothing) { EXPECT_EQ(Table({{"NAME"}, {"N"}}).render({}), ""); }

TEST(Table, CutsOnlyWhatMayBeCut) {
  Table table({{"FINGERPRINT"}, {"COMMENT", Align::left, 4}});
  table.add({"SHA256:abcdef", "a long comment"});
  EXPECT_EQ(table.render({.width = 22}),
            "FINGERPRINT    COMMENT\n"
            "SHA256:abcdef  a long…\n");
  // It gives way down to its least width; what is left over is wider than the terminal.
  EXPECT_EQ(table.render({.width = 5}),
            "FINGERPRINT    COM…\n"
            "SHA256:abcdef  a l…\n");
}

TEST(Table, HostileCellsStayInTheirCell) {
  Table table({{"NAME"}, {"X"}});
  table.add({"a\nroot  admin\x1b[1A", "b"});
  EXPECT_EQ(table.render({}),
            "NAME                   X\n"
            "a\\nroot  admin\\x1b[1A  b\n");
}

TEST(Table, ColoursDoNotCountAsWidth) {
  Table table({{"S"}, {"T"}});
  table.add({{"up", Tone::good}, "x"});
  EXPECT_EQ(table.render({.colour = true, .newline = "\r\n"}),
            "\x1b[1mS\x1b[0m   \x1b[1mT\x1b[0m\r\n"
            "\x1b[32mup\x1b[0m  x\r\n");
}

TEST(Fields, AlignsValues) {
  EXPECT_EQ(render_fields({{"name", "ada"}, {"state", {"on\n", Tone::good}}, {"x", ""}}, {}),
            "name   ada\n"
            "state  on\\n\n"
            "x\n");
}

}  // namespace
}  // namespace berth
