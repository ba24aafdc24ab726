// Telling open pages what has changed (GET /api/v1/events): a listener gets topics, never data, and asks the API again, which decides anew
// what it may see. What waits for a listener is one set of topics, so a slow one costs nothing.
#pragma once
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace berth::web {

enum class Topic : std::uint8_t { me, workspaces, sessions, keys, users, web_sessions, campaign, certificates, tokens, environments, audit, shares, count };
std::string_view name_of(Topic topic);
constexpr std::uint32_t bit(Topic topic) { return 1U << static_cast<unsigned>(topic); }

class EventHub;

// One open page. Lives on its lane; the hub may mark it from any thread.
class EventListener : public std::enable_shared_from_this<EventListener> {
 public:
  // `reads_all`: hears of everybody's changes, else of `user`'s only (and of "keys", "web_sessions" and the like of anybody's: which
  // store rows are whose is for the caller to look up).
  static std::shared_ptr<EventListener> open(EventHub& hub, boost::asio::any_io_executor executor, std::string user, bool reads_all, std::string login);
  ~EventListener();

  // Until something is marked or `limit` has passed; then waits for `gather`, so that what belongs together comes as one.
  boost::asio::awaitable<void> wait(std::chrono::milliseconds limit, std::chrono::milliseconds gather);
  std::uint32_t take() { return marked_.exchange(0); }
  void wake() { timer_.cancel(); }  // on its lane

 private:
  friend class EventHub;
  EventListener(EventHub& hub, boost::asio::any_io_executor executor, std::string user, bool reads_all, std::string login)
      : hub_(hub), executor_(std::move(executor)), timer_(executor_), user_(std::move(user)), login_(std::move(login)), reads_all_(reads_all) {}
  EventHub& hub_;
  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer timer_;
  const std::string user_, login_;
  const bool reads_all_;
  std::atomic<std::uint32_t> marked_{0};
};

// All listeners of all lanes. Its lock is held for a look-up, never for I/O.
class EventHub {
 public:
  // Something of `user` has changed: they and who reads all are told.
  void publish(Topic topic, const std::string& user);
  // These tables of the store have changed: everybody whom that may concern is told.
  void publish_tables(const std::vector<std::string>& tables);
  // Grows with each commit that may have changed who is logged in or may do what; before anybody is told that the commit is done.
  std::uint64_t store_generation() const { return store_generation_.load(std::memory_order_acquire); }
  // How many streams this browser login has open already.
  std::size_t count_of_login(const std::string& login) const;
  std::size_t count() const;

 private:
  friend class EventListener;
  void add(EventListener& listener);
  void remove(EventListener& listener);
  static void mark(EventListener& listener, std::uint32_t topics);  // under the lock: the listener cannot go away

  std::atomic<std::uint64_t> store_generation_{1};
  mutable std::mutex mutex_;  // of everything below
  std::unordered_map<std::string, std::vector<EventListener*>> by_user_;
  std::vector<EventListener*> all_, reading_all_;
  std::unordered_map<std::string, std::size_t> by_login_;
};

}  // namespace berth::web
