#include "web/events.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kNames[] = {"me", "workspaces", "sessions", "keys", "users", "web_sessions", "campaign", "certificates", "tokens", "environments", "audit", "shares"};
static_assert(std::size(kNames) == static_cast<std::size_t>(Topic::count));

struct TableTopic { std::string_view table; Topic topic; bool everyone; };  // everyone: users too, not only who reads all
// Sessions and workspaces are not here: who opens and closes them says whose they are.
constexpr TableTopic kTables[] = {
    {"keys", Topic::keys, true},   {"users", Topic::users, true},         {"web_sessions", Topic::web_sessions, true},
    {"audit", Topic::audit, false}, {"host_keys", Topic::certificates, true}, {"campaigns", Topic::campaign, true},
    {"environments", Topic::environments, true}, {"environment_team_defaults", Topic::environments, true}, {"environment_maintainers", Topic::environments, true},
    {"environment_revisions", Topic::environments, true}, {"workspace_images", Topic::workspaces, true}, {"authorities", Topic::certificates, false}, {"certificate_revocations", Topic::certificates, false},
    {"api_tokens", Topic::tokens, true}, {"port_shares", Topic::shares, true}, {"users", Topic::me, true},
};

void forget(std::vector<EventListener*>& list, const EventListener* listener) { std::erase(list, listener); }

}  // namespace

std::string_view name_of(Topic topic) { return kNames[static_cast<std::size_t>(topic)]; }

std::shared_ptr<EventListener> EventListener::open(EventHub& hub, asio::any_io_executor executor, std::string user, bool reads_all, std::string login) {
  std::shared_ptr<EventListener> listener(new EventListener(hub, std::move(executor), std::move(user), reads_all, std::move(login)));
  hub.add(*listener);
  return listener;
}

EventListener::~EventListener() { hub_.remove(*this); }

asio::awaitable<void> EventListener::wait(std::chrono::milliseconds limit, std::chrono::milliseconds gather) {
  if (marked_ == 0) {
    timer_.expires_after(limit);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (marked_ == 0) co_return;
  timer_.expires_after(gather);
  co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

void EventHub::add(EventListener& listener) {
  const std::lock_guard lock(mutex_);
  all_.push_back(&listener);
  if (listener.reads_all_) reading_all_.push_back(&listener);
  else by_user_[listener.user_].push_back(&listener);
  ++by_login_[listener.login_];
}

void EventHub::remove(EventListener& listener) {
  const std::lock_guard lock(mutex_);
  forget(all_, &listener);
  if (listener.reads_all_) {
    forget(reading_all_, &listener);
  } else if (const auto found = by_user_.find(listener.user_); found != by_user_.end()) {
    forget(found->second, &listener);
    if (found->second.empty()) by_user_.erase(found);
  }
  if (const auto login = by_login_.find(listener.login_); login != by_login_.end() && --login->second == 0) by_login_.erase(login);
}

void EventHub::mark(EventListener& listener, std::uint32_t topics) {
  if (listener.marked_.fetch_or(topics) != 0) return;  // it has been woken for something else and has not looked yet
  asio::post(listener.executor_, [weak = listener.weak_from_this()] {
    if (const auto awake = weak.lock()) awake->wake();
  });
}

void EventHub::publish(Topic topic, const std::string& user) {
  const std::lock_guard lock(mutex_);
  for (EventListener* listener : reading_all_) mark(*listener, bit(topic));
  const auto found = by_user_.find(user);
  if (found == by_user_.end()) return;
  for (EventListener* listener : found->second) mark(*listener, bit(topic));
}

void EventHub::publish_tables(const std::vector<std::string>& tables) {
  if (!std::all_of(tables.begin(), tables.end(), [](const std::string& table) { return table == "sessions" || table == "audit"; })) ++store_generation_;
  std::uint32_t for_all = 0, for_readers = 0;
  for (const TableTopic& row : kTables)
    if (std::find(tables.begin(), tables.end(), row.table) != tables.end()) (row.everyone ? for_all : for_readers) |= bit(row.topic);
  if ((for_all | for_readers) == 0) return;
  const std::lock_guard lock(mutex_);
  for (EventListener* listener : reading_all_) mark(*listener, for_all | for_readers);
  if (for_all == 0) return;
  for (const auto& [user, listeners] : by_user_)
    for (EventListener* listener : listeners) mark(*listener, for_all);
}

std::size_t EventHub::count_of_login(const std::string& login) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_login_.find(login);
  return found == by_login_.end() ? 0 : found->second;
}

std::size_t EventHub::count() const {
  const std::lock_guard lock(mutex_);
  return all_.size();
}

}  // namespace berth::web
