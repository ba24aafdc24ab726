#include "server/gateway/source_tries.hpp"

#include <algorithm>
#include <utility>

namespace berth::server {
namespace {

using namespace std::chrono_literals;
constexpr double kNetworkMay = 4;  // times what an address may
constexpr auto kDelayStep = 250ms, kLongestDelay = 5000ms;

// The first bits of an address as a key; the length tells addresses from networks.
std::string key_of(const boost::asio::ip::address& source, bool network) {
  const auto bytes = ip_bytes(source);
  static constexpr IpNetwork kMapped{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
  const bool is_v4 = contains(kMapped, source);
  const std::size_t length = is_v4 ? (network ? 15 : 16) : (network ? 6 : 8);
  return {reinterpret_cast<const char*>(bytes.data()), length};
}

}  // namespace

SourceTries::Attempt::Attempt(Attempt&& other) noexcept
    : tries_(std::exchange(other.tries_, nullptr)),
      keys_{std::move(other.keys_[0]), std::move(other.keys_[1])},
      refused_(other.refused_),
      delay_(other.delay_) {}

void SourceTries::Attempt::succeeded(TimePoint now) {
  if (SourceTries* tries = std::exchange(tries_, nullptr)) tries->end(keys_, 0, now);
}

void SourceTries::Attempt::failed(int count, TimePoint now) {
  if (SourceTries* tries = std::exchange(tries_, nullptr)) tries->end(keys_, std::max(count, 1), now);
}

void SourceTries::leak(Source& source, double most, TimePoint now) const {
  if (now <= source.at) return;  // the clocks of two lanes' reads may cross
  const double passed = std::chrono::duration<double>(now - source.at).count() / std::chrono::duration<double>(options_.within).count();
  source.failures = std::max(0.0, source.failures - passed * most);
  source.at = now;
}

SourceTries::Attempt SourceTries::begin(const boost::asio::ip::address& source, TimePoint now) {
  if (contains(options_.exempt, source)) return {nullptr, "", ""};
  Attempt attempt(this, key_of(source, false), key_of(source, true));
  const std::lock_guard lock(mutex_);
  if (sources_.size() + 2 > kMostSources) forget_quiet(now);
  const bool room = sources_.size() + 2 <= kMostSources;
  double over = 0;
  for (const bool network : {false, true}) {
    const double times = network ? kNetworkMay : 1;
    const auto found = sources_.find(attempt.keys_[network ? 1 : 0]);
    if (found == sources_.end()) continue;
    Source& known = found->second;
    leak(known, times * options_.refuse_after, now);
    attempt.refused_ = attempt.refused_ || known.failures + known.waiting >= times * options_.refuse_after;
    over = std::max(over, (known.failures - times * options_.slow_after) / times);
  }
  // A table that is full of busy sources takes no new ones; MaxStartups still holds for those.
  if (attempt.refused_ || !room) {
    attempt.tries_ = nullptr;
    return attempt;
  }
  for (const std::string& key : attempt.keys_) {
    Source& known = sources_.try_emplace(key, Source{0, 0, now}).first->second;
    ++known.waiting;
  }
  if (over > 0) attempt.delay_ = std::min<std::chrono::milliseconds>(kLongestDelay, std::chrono::milliseconds(static_cast<int>(over * kDelayStep.count())));
  return attempt;
}

void SourceTries::end(const std::string (&keys)[2], double failures, TimePoint now) {
  const std::lock_guard lock(mutex_);
  for (const bool network : {false, true}) {
    const auto found = sources_.find(keys[network ? 1 : 0]);
    if (found == sources_.end()) continue;  // cannot be: those with somebody waiting are not forgotten
    Source& known = found->second;
    leak(known, (network ? kNetworkMay : 1) * options_.refuse_after, now);
    known.failures += failures;
    if (--known.waiting == 0 && known.failures == 0) sources_.erase(found);
  }
}

void SourceTries::forget_quiet(TimePoint now) {
  std::erase_if(sources_, [&](const auto& entry) { return entry.second.waiting == 0 && now - entry.second.at > options_.within; });
}

}  // namespace berth::server
