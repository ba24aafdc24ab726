#include "auth/refused_uses.hpp"

#include "auth/web_rows.hpp"

namespace berth::auth {
namespace {

constexpr std::chrono::minutes kInterval{10};
constexpr std::size_t kMostSeen = 10'000;
constexpr std::size_t kMostRows = 600;  // in one interval, of all together

}  // namespace

std::optional<std::size_t> RefusedUses::take(std::string_view fingerprint, std::string_view address, bool proven, Timestamp now) {
  const std::string key = std::string(fingerprint) + " " + network_of(address) + (proven ? " proven" : " offered");
  const std::lock_guard lock(mutex_);
  if (now - window_began_ >= kInterval || now < window_began_) {
    window_began_ = now;
    rows_in_window_ = 0;
  }
  if (seen_.size() >= kMostSeen && !seen_.contains(key)) seen_.clear();
  Seen& seen = seen_[key];
  const bool recently = seen.row_at != Timestamp{} && now >= seen.row_at && now - seen.row_at < kInterval;
  if (recently || rows_in_window_ >= kMostRows) {
    ++seen.left_out;
    return std::nullopt;
  }
  ++rows_in_window_;
  seen.row_at = now;
  return std::exchange(seen.left_out, 0);
}

}  // namespace berth::auth
