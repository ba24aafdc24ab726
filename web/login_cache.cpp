#include "web/login_cache.hpp"

#include "base/encoding.hpp"

namespace berth::web {
namespace {

constexpr std::chrono::seconds kGoodFor{1};
constexpr std::size_t kMost = 1024;

}  // namespace

std::shared_ptr<const auth::WebLogins::Valid> LoginCache::check(SQLite::Database& reader, std::string_view cookie, const auth::WebLogins::Place& place) {
  const std::uint64_t generation = hub_.store_generation();
  const Timestamp now = clock_.now();
  const std::string key = sha256(cookie);
  const auto known = found_.find(key);
  const bool holds = known != found_.end() && known->second.generation == generation && known->second.place == place && now >= known->second.at && now - known->second.at < kGoodFor;
  if (holds) return known->second.valid;
  if (known != found_.end()) found_.erase(known);
  auto looked_up = logins_.check_workspace_cookie(reader, cookie, place);
  if (!looked_up) return nullptr;
  const auto valid = std::make_shared<const auth::WebLogins::Valid>(std::move(*looked_up));
  if (found_.size() >= kMost) found_.clear();
  found_.emplace(key, Found{valid, place, generation, now});
  return valid;
}

}  // namespace berth::web
