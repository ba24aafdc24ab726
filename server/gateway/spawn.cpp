#include "server/gateway/spawn.hpp"

#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "base/log.hpp"

namespace berth::server {

void spawn_logged(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> task, std::string_view what) {
  boost::asio::co_spawn(executor, std::move(task), [what](std::exception_ptr thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      log_error("task.failed", {{"task", what}, {"error", error.what()}});
    }
  });
}

}  // namespace berth::server
