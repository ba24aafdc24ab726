#include "web/rate_limit.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace berth::web {
namespace {

std::string key_of(std::string_view address) {
  unsigned char bytes[16];
  const std::string text(address);
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) return std::string(reinterpret_cast<char*>(bytes), 8);
  return text;
}

}  // namespace

bool RateLimit::allow(std::string_view address, TimePoint now) {
  if (buckets_.size() >= kMaxBuckets) forget_full(now);
  if (buckets_.size() >= kMaxBuckets) return false;  // so many addresses at once is an attack: nobody logs in anew for a moment
  auto [found, added] = buckets_.try_emplace(key_of(address), Bucket{limit_, now});
  Bucket& bucket = found->second;
  const double passed = std::chrono::duration<double>(now - bucket.at).count();
  bucket.left = std::min(limit_, bucket.left + passed * limit_ / 60.0);
  bucket.at = now;
  if (bucket.left < 1.0) return false;
  bucket.left -= 1.0;
  return true;
}

void RateLimit::forget_full(TimePoint now) {
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at > std::chrono::minutes(1); });
}

}  // namespace berth::web
