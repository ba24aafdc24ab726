// Which refused logins with a known key are worth an audit row: the first, and then one in ten minutes for each key, source and manner, so
// that nobody can fill the trail by trying. Shared by the lanes.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"

namespace berth::auth {

class RefusedUses {
 public:
  // nullopt: no row now. Else how many were left out since the last row of this key, source and manner.
  // `address` may have a port; `proven`: with a signature by the key, not only offered.
  std::optional<std::size_t> take(std::string_view fingerprint, std::string_view address, bool proven, Timestamp now);

 private:
  struct Seen {
    Timestamp row_at{};
    std::size_t left_out = 0;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Seen> seen_;
  Timestamp window_began_{};
  std::size_t rows_in_window_ = 0;
};

}  // namespace berth::auth
