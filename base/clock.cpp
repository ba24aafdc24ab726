#include "base/clock.hpp"

#include <charconv>
#include <cstdio>

namespace berth {
namespace {

struct Unit {
  char letter;
  std::int64_t seconds;
};
constexpr Unit kUnits[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

}  // namespace

Timestamp SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string format_timestamp(Timestamp time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text;
}

Result<Timestamp> parse_timestamp(std::string_view text) {
  using namespace std::chrono;
  const Error bad{ErrorKind::invalid, "'" + std::string(text) + "' is not a time such as 2026-11-22T17:54:51Z"};
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0, used = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2d%n", &y, &mo, &d, &used) != 3) return bad;
  const year_month_day date{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!date.ok() || used != 10) return bad;
  Timestamp time = sys_days(date);
  if (copy.size() == 10) return time;
  int more = 0;
  if (std::sscanf(copy.c_str() + used, "T%2d:%2d:%2d%n", &h, &mi, &s, &more) != 3 || more != 9) return bad;
  if (h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 60) return bad;
  time += hours(h) + minutes(mi) + seconds(s);
  std::string_view rest = std::string_view(copy).substr(static_cast<std::size_t>(used) + static_cast<std::size_t>(more));
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    std::int64_t scale = 100000;
    if (rest.empty() || rest.front() < '0' || rest.front() > '9') return bad;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      time += microseconds((rest.front() - '0') * scale);
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest != "Z") return bad;
  return time;
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && count >= 0 && count <= 1000 && end == text.data() + text.size() - 1 && *end == 'y') return std::chrono::seconds(count * 365 * 86400);
  if (error == std::errc() && count >= 0 && end == text.data() + text.size() - 1) {
    for (const Unit& unit : kUnits) {
      if (*end == unit.letter && count <= INT64_MAX / 1000000 / unit.seconds) return std::chrono::seconds(count * unit.seconds);
    }
  }
  return Error{ErrorKind::invalid, "'" + std::string(text) + "' is not a duration such as 90s, 15m, 12h, 30d, 2w or 1y"};
}

std::string format_duration(std::chrono::seconds duration) {
  const std::int64_t seconds = duration.count();
  for (const Unit& unit : kUnits) {
    if (seconds != 0 && seconds % unit.seconds == 0) return std::to_string(seconds / unit.seconds) + unit.letter;
  }
  return std::to_string(seconds) + "s";
}

}  // namespace berth
