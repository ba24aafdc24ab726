// Waiting for a condition of the same thread: `while (!condition) co_await signal.wait();`. Waiters are resumed by the
// executor, never inside notify(), so notify() may be called from anywhere.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace berth::ssh {

class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  // Returns after the next notify(), or at once when the waiting coroutine is cancelled (its next await then throws).
  boost::asio::awaitable<void> wait() {
    boost::system::error_code always_aborted;
    co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, always_aborted));
  }
  void notify() { timer_.cancel(); }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace berth::ssh
