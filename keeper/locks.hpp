// One at a time per key, for coroutines of one thread.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <memory>
#include <string>

namespace berth::keeper {

class Locks {
  struct Turn {
    bool taken = true;
    int waiting = 0;
    boost::asio::steady_timer freed;
    explicit Turn(boost::asio::any_io_executor executor) : freed(executor, boost::asio::steady_timer::time_point::max()) {}
  };

 public:
  class Held {
   public:
    Held(Locks& locks, std::string key) : locks_(&locks), key_(std::move(key)) {}
    Held(Held&& other) noexcept : locks_(std::exchange(other.locks_, nullptr)), key_(std::move(other.key_)) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (locks_) locks_->release(key_);
    }

   private:
    Locks* locks_;
    std::string key_;
  };

  boost::asio::awaitable<Held> acquire(std::string key) {
    const auto found = turns_.find(key);
    if (found == turns_.end()) {
      turns_.emplace(key, std::make_shared<Turn>(co_await boost::asio::this_coro::executor));
      co_return Held(*this, std::move(key));
    }
    const std::shared_ptr<Turn> turn = found->second;
    ++turn->waiting;
    while (turn->taken) {
      boost::system::error_code woken;
      co_await turn->freed.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
    }
    --turn->waiting;
    turn->taken = true;
    co_return Held(*this, std::move(key));
  }

 private:
  void release(const std::string& key) {
    const auto found = turns_.find(key);
    if (found->second->waiting == 0) {
      turns_.erase(found);
      return;
    }
    found->second->taken = false;
    found->second->freed.cancel_one();
  }

  std::map<std::string, std::shared_ptr<Turn>> turns_;
};

}  // namespace berth::keeper
