// How long something took, counted in fixed buckets for /metrics. Any thread may observe and read; each count is exact, a reading of
// several of them is not one moment.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace berth {

class Histogram {
 public:
  // Upper bounds in microseconds; one more bucket holds what took longer.
  static constexpr std::array<std::int64_t, 14> kBounds{500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

  void observe(std::chrono::steady_clock::duration took);
  std::uint64_t count() const;

  // The sample lines in Prometheus' text form (NAME_bucket, NAME_sum, NAME_count; seconds). `labels`: "" or `lane="0"`.
  void append_to(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<std::uint64_t> sum_us_{0};
};

}  // namespace berth
