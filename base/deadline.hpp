// The one way to wait for a peer: every await that depends on one has a deadline, and missing it is a named error.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth {

// Runs `operation` until it is done or `stop` fires (expires or is cancelled); then the operation is cancelled (Asio terminal
// cancellation; it must stop at its next await) and the answer is nullopt. Exceptions of the operation pass through.
template <class T>
boost::asio::awaitable<std::optional<Result<T>>> unless(boost::asio::awaitable<Result<T>> operation, boost::asio::steady_timer& stop) {
  namespace asio = boost::asio;
  auto executor = co_await asio::this_coro::executor;
  // std::optional: parallel_group needs a default-constructible completion value.
  auto wrapped = [](asio::awaitable<Result<T>> inner) -> asio::awaitable<std::optional<Result<T>>> {
    co_return std::optional<Result<T>>(co_await std::move(inner));
  };
  auto [order, thrown, result, stop_error] =
      co_await asio::experimental::make_parallel_group(asio::co_spawn(executor, wrapped(std::move(operation)), asio::deferred),
                                                       stop.async_wait(asio::deferred))
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  (void)stop_error;
  // Done in the same moment as the stop: what it answered is not lost.
  if (order[0] == 0 || (!thrown && result)) {
    if (thrown) std::rethrow_exception(thrown);
    co_return std::move(result);
  }
  co_return std::nullopt;
}

// Runs `operation` for at most `limit`. Missing it is Error{timeout, "WHAT did not answer within N ms"}. `what` must outlive the call.
template <class T>
boost::asio::awaitable<Result<T>> with_deadline(boost::asio::awaitable<Result<T>> operation, std::chrono::milliseconds limit,
                                                std::string_view what) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, limit);
  std::optional<Result<T>> result = co_await unless(std::move(operation), timer);
  if (result) co_return std::move(*result);
  co_return Error{ErrorKind::timeout, std::string(what) + " did not answer within " + std::to_string(limit.count()) + " ms"};
}

}  // namespace berth
