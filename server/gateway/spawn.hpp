// Starts a coroutine that answers to nobody; what it throws is logged instead of ending the program.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string_view>

namespace berth::server {

// `what` must be a literal: it names the coroutine in the log.
void spawn_logged(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> task, std::string_view what);

}  // namespace berth::server
