// Wall-clock time as Berth stores it: microseconds since 1970-01-01T00:00:00Z.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth {

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

// Where "now" comes from: the system clock, or a fake one in tests.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;
};

class SystemClock final : public Clock {
 public:
  Timestamp now() const override;
};

// RFC 3339 in UTC with microseconds: "2026-11-22T17:54:51.000123Z".
std::string format_timestamp(Timestamp time);
// Takes what format_timestamp writes, with or without a fraction; also "2026-11-22" (midnight UTC).
Result<Timestamp> parse_timestamp(std::string_view text);
// "90s", "15m", "12h", "30d", "2w", "1y" (365 days): a whole number and one unit.
Result<std::chrono::seconds> parse_duration(std::string_view text);
// The inverse, in the largest unit that divides it: 3600 s is "1h".
std::string format_duration(std::chrono::seconds duration);

}  // namespace berth
