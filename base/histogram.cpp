#include "base/histogram.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace berth {

void Histogram::observe(std::chrono::steady_clock::duration took) {
  const std::int64_t us = std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  const auto bucket = static_cast<std::size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), us) - kBounds.begin());
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(static_cast<std::uint64_t>(us), std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t all = 0;
  for (const auto& bucket : buckets_) all += bucket.load(std::memory_order_relaxed);
  return all;
}

void Histogram::append_to(std::string& out, std::string_view name, std::string_view labels) const {
  const std::string_view comma = labels.empty() ? "" : ",";
  const std::string braced = labels.empty() ? "" : fmt::format("{{{}}}", labels);
  std::uint64_t up_to_here = 0;  // Prometheus' buckets hold everything below their bound
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    up_to_here += buckets_[i].load(std::memory_order_relaxed);
    out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, static_cast<double>(kBounds[i]) / 1e6, up_to_here);
  }
  up_to_here += buckets_.back().load(std::memory_order_relaxed);
  out += fmt::format("{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, up_to_here);
  out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, braced, static_cast<double>(sum_us_.load(std::memory_order_relaxed)) / 1e6, name, braced, up_to_here);
}

}  // namespace berth
