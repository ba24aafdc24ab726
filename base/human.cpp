#include "base/human.hpp"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace berth {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;  // how many of the input
  bool valid = false;     // false: one byte that isn't UTF-8
};

// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF. `text` isn't empty.
CodePoint first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {lead, 1, false};
  char32_t value = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {lead, 1, false};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {lead, 1, false};
  return {value, length, true};
}

struct Range {
  char32_t first, last;
};
// What changes a terminal's state or hides text: controls, line separators, marks and overrides of direction, the BOM, tags.
constexpr Range kUnprintable[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c}, {0x200b, 0x200f},  {0x2028, 0x202e},
                                  {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};

bool is_unprintable(char32_t value) {
  return std::any_of(std::begin(kUnprintable), std::end(kUnprintable), [&](const Range& r) { return value >= r.first && value <= r.last; });
}

void append_escaped(std::string& out, const CodePoint& point) {
  char text[16];
  if (point.value == '\n') {
    out += "\\n";
  } else if (point.value == '\t') {
    out += "\\t";
  } else if (point.value == '\r') {
    out += "\\r";
  } else {
    std::snprintf(text, sizeof text, !point.valid || point.value < 0x80 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(point.value));
    out += text;
  }
}

std::string make_printable(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_of(text);
    const bool kept_control = keep_lines && (point.value == '\n' || point.value == '\t');
    if (point.valid && (kept_control || !is_unprintable(point.value))) {
      out += text.substr(0, point.bytes);
    } else {
      append_escaped(out, point);
    }
    text.remove_prefix(point.bytes);
  }
  return out;
}

// wcwidth() answers for the thread's locale; C.UTF-8 is part of libc. Without it every character counts one.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(locale_ ? uselocale(locale_) : nullptr) {}
  ~Utf8Locale() {
    if (!locale_) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  std::size_t width(const CodePoint& point) const {
    if (!point.valid || !locale_ || point.value < 0x80) return 1;
    const int columns = wcwidth(static_cast<wchar_t>(point.value));
    return columns < 0 ? 1 : static_cast<std::size_t>(columns);
  }

 private:
  locale_t locale_;
  locale_t before_;
};

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string printable(std::string_view text) { return make_printable(text, false); }
std::string printable_lines(std::string_view text) { return make_printable(text, true); }

std::size_t display_width(std::string_view text) {
  if (is_ascii(text)) return text.size();
  const Utf8Locale locale;
  std::size_t columns = 0;
  while (!text.empty()) {
    const CodePoint point = first_of(text);
    columns += locale.width(point);
    text.remove_prefix(point.bytes);
  }
  return columns;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  const Utf8Locale locale;
  std::size_t columns = 0, bytes = 0;
  while (bytes < text.size()) {
    const CodePoint point = first_of(text.substr(bytes));
    const std::size_t more = locale.width(point);
    if (columns + more > width - 1) break;
    columns += more;
    bytes += point.bytes;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string human_age(Timestamp time, Timestamp now) {
  if (time == Timestamp{}) return "never";
  struct Unit {
    std::int64_t from, seconds;
    char letter;
  };
  // Each unit from two of it on, so that "90m ago" isn't rounded to an hour.
  constexpr Unit kUnits[] = {{172800, 86400, 'd'}, {7200, 3600, 'h'}, {120, 60, 'm'}, {0, 1, 's'}};
  const std::int64_t distance = std::chrono::floor<std::chrono::seconds>(now - time).count();
  const std::int64_t seconds = distance < 0 ? -distance : distance;
  for (const Unit& unit : kUnits) {
    if (seconds < unit.from) continue;
    const std::string amount = std::to_string(seconds / unit.seconds) + unit.letter;
    return distance < 0 ? "in " + amount : amount + " ago";
  }
  return "now";
}

std::string human_time(Timestamp time) {
  if (time == Timestamp{}) return "never";
  std::string text = format_timestamp(time).substr(0, 19);
  text[10] = ' ';
  return text;
}

std::string human_span(std::chrono::seconds span) {
  const std::int64_t seconds = std::max<std::int64_t>(span.count(), 0);
  char text[48];
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%dm %02ds", static_cast<int>(seconds / 60), static_cast<int>(seconds % 60));
  } else if (seconds < 86400) {
    std::snprintf(text, sizeof text, "%dh %02dm", static_cast<int>(seconds / 3600), static_cast<int>(seconds % 3600 / 60));
  } else {
    std::snprintf(text, sizeof text, "%lldd %dh", static_cast<long long>(seconds / 86400), static_cast<int>(seconds % 86400 / 3600));
  }
  return text;
}

}  // namespace berth
