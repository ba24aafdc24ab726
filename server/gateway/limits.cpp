#include "server/gateway/limits.hpp"

#include <utility>

namespace berth::server {

ConnectionLimits::Place::Place(Place&& other) noexcept
    : limits_(std::exchange(other.limits_, nullptr)), user_(std::move(other.user_)) {}

ConnectionLimits::Place& ConnectionLimits::Place::operator=(Place&& other) noexcept {
  if (this != &other) {
    give_back();
    limits_ = std::exchange(other.limits_, nullptr);
    user_ = std::move(other.user_);
  }
  return *this;
}

void ConnectionLimits::Place::give_back() {
  ConnectionLimits* limits = std::exchange(limits_, nullptr);
  if (limits == nullptr) return;
  const std::lock_guard lock(limits->mutex_);
  if (user_.empty()) {
    --limits->startups_;
  } else if (--limits->users_[user_] == 0) {
    limits->users_.erase(user_);
  }
}

ConnectionLimits::Place ConnectionLimits::before_login() {
  const std::lock_guard lock(mutex_);
  if (startups_ >= max_startups_) return {};
  ++startups_;
  return {this, ""};
}

ConnectionLimits::Place ConnectionLimits::of_user(const std::string& user) {
  const std::lock_guard lock(mutex_);
  int& count = users_[user];
  if (count >= max_per_user_) return {};
  ++count;
  return {this, user};
}

}  // namespace berth::server
