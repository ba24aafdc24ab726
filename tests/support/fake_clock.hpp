// A clock that stands still until a test moves it.
#pragma once
#include <atomic>

#include "base/clock.hpp"

namespace berth {

class FakeClock final : public Clock {
 public:
  Timestamp now() const override { return Timestamp(std::chrono::microseconds(micros_.load())); }
  void advance(std::chrono::microseconds by) { micros_ += by.count(); }

 private:
  std::atomic<std::int64_t> micros_{1'800'000'000'000'000};  // 2027-01-15
};

}  // namespace berth
