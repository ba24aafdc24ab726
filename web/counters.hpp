// What /metrics tells about one lane: written by the lane, read by any.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "base/histogram.hpp"

namespace berth::web {

class Counter {
 public:
  void operator++() { add(1); }
  void operator--() { add(-1); }
  // One writer, so no locked instruction is needed.
  void add(std::int64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  std::int64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

struct Counters {
  Counter connections, accepted, handshake_failures, requests, refused, responses[6], proxied, websockets, upstream_connects, upstream_errors, logins, logins_refused,
      bytes_in, bytes_out;
  Histogram first_byte;  // from a request into a workspace to the head of its answer
  Histogram loop_lag;    // how late the lane runs what is due
  void count_response(int status) { ++responses[status / 100 % 6]; }
};

}  // namespace berth::web
