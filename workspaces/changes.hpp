// "Something has changed, look again": how coroutines of one thread wait for a condition.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <set>

namespace berth::workspaces {

class Changes {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // Returns at the next notify(), or at `until`. Check the condition again either way.
  boost::asio::awaitable<void> wait(TimePoint until = TimePoint::max()) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, until);
    const Listed listed(waiting_, &timer);
    boost::system::error_code woken;
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
  }
  void notify() {
    for (auto* timer : *waiting_) timer->cancel();
  }

 private:
  using Waiting = std::shared_ptr<std::set<boost::asio::steady_timer*>>;
  struct Listed {
    Listed(Waiting all, boost::asio::steady_timer* timer) : all_(std::move(all)), timer_(timer) { all_->insert(timer_); }
    Listed(const Listed&) = delete;
    ~Listed() { all_->erase(timer_); }
    Waiting all_;
    boost::asio::steady_timer* timer_;
  };
  // Shared: a frame that is destroyed late, with its io_context, may outlive us.
  Waiting waiting_ = std::make_shared<std::set<boost::asio::steady_timer*>>();
};

}  // namespace berth::workspaces
