// How often one address may try something: `limit` times in any one minute, on average.
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>

namespace berth::web {

class RateLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit RateLimit(std::size_t limit) : limit_(static_cast<double>(limit)) {}

  // Counts one attempt. IPv6 addresses count by their /64, which is what one customer has.
  bool allow(std::string_view address, TimePoint now);

 private:
  struct Bucket { double left; TimePoint at; };
  void forget_full(TimePoint now);
  static constexpr std::size_t kMaxBuckets = 10'000;
  double limit_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace berth::web
