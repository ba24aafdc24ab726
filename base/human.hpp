// Text for people: what may be printed on a terminal, how wide it is there, and sizes and times in words. Pure functions.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace berth {

// `text` on one line and harmless to a terminal: control characters (C0, DEL, C1), line separators, direction overrides and bytes that
// aren't UTF-8 are written as \n, \t, \x1b or \u202e. Everything that came from a user, a client or a workspace goes through it.
std::string printable(std::string_view text);
// The same for several lines: '\n' and '\t' pass, nothing else does ('\r' neither).
std::string printable_lines(std::string_view text);

// Columns that UTF-8 text takes on a terminal: wide characters (CJK, emoji) count two, combining ones none.
std::size_t display_width(std::string_view text);
// Cuts to at most `width` columns, the last one being "…" where something was cut; never inside a character.
std::string cut_to_width(std::string_view text, std::size_t width);

// "0 B", "812 B", "4.0 KiB", "1.5 GiB".
std::string human_bytes(std::uint64_t bytes);
// The distance from now in its largest unit: "12s ago", "5m ago", "3h ago", "40d ago", "in 2d". A zero time is "never".
std::string human_age(Timestamp time, Timestamp now);
// "2026-11-22 17:54:51" in UTC, to the second; a zero time is "never".
std::string human_time(Timestamp time);
// A span: "41s", "12m 03s", "5h 20m", "12d 4h".
std::string human_span(std::chrono::seconds span);

}  // namespace berth
