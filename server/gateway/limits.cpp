#include "server/gateway/limits.hpp"

#include <random>
#include <utility>

namespace berth::server {

LimitOptions limits_of(const Settings::Ssh& settings) {
  LimitOptions options;
  options.startups = settings.max_startups;
  options.connections_per_user = static_cast<int>(settings.max_connections_per_user);
  options.sessions_per_user = static_cast<int>(settings.max_sessions_per_user);
  options.tries = {static_cast<double>(settings.tries_slow_after), static_cast<double>(settings.tries_refuse_after), settings.tries_within, settings.tries_exempt};
  return options;
}

int drop_percent(const Startups& startups, int waiting) {
  if (waiting < startups.start) return 0;
  if (waiting >= startups.full || startups.rate >= 100) return 100;
  return startups.rate + (100 - startups.rate) * (waiting - startups.start) / (startups.full - startups.start);
}

ConnectionLimits::Place::Place(Place&& other) noexcept
    : limits_(std::exchange(other.limits_, nullptr)), users_(other.users_), user_(std::move(other.user_)) {}

ConnectionLimits::Place& ConnectionLimits::Place::operator=(Place&& other) noexcept {
  if (this != &other) {
    give_back();
    limits_ = std::exchange(other.limits_, nullptr);
    users_ = other.users_;
    user_ = std::move(other.user_);
  }
  return *this;
}

void ConnectionLimits::Place::give_back() {
  ConnectionLimits* limits = std::exchange(limits_, nullptr);
  if (limits == nullptr) return;
  const std::lock_guard lock(limits->mutex_);
  if (!users_) {
    --limits->startups_;
  } else if (--(*users_)[user_] == 0) {
    users_->erase(user_);
  }
}

int ConnectionLimits::random_percent() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return static_cast<int>(std::uniform_int_distribution<>(0, 99)(random));
}

ConnectionLimits::Place ConnectionLimits::before_login(int roll) {
  const std::lock_guard lock(mutex_);
  if (roll < drop_percent(options_.startups, startups_)) return {};
  ++startups_;
  return {this, nullptr, ""};
}

ConnectionLimits::Place ConnectionLimits::take(Place::Users& users, const std::string& user, int most) {
  const std::lock_guard lock(mutex_);
  int& count = users[user];
  if (count >= most) return {};
  ++count;
  return {this, &users, user};
}

}  // namespace berth::server
