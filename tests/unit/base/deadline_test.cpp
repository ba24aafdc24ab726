#include <gtest/gtest.h>

#include "base/deadline.hpp"

namespace berth {
namespace {
namespace asio = boost::asio;

asio::awaitable<Result<int>> quick() { co_return 42; }
asio::awaitable<Result<int>> broken() {
  throw std::runtime_error("broken");
  co_return 0;
}
asio::awaitable<Result<int>> never() {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  co_return 0;
}

Result<int> run(asio::awaitable<Result<int>> operation, std::chrono::milliseconds limit) {
  asio::io_context io;
  std::optional<Result<int>> answer;
  std::exception_ptr thrown;
  asio::co_spawn(io, with_deadline(std::move(operation), limit, "the peer"), [&](std::exception_ptr e, Result<int> r) {
    thrown = e;
    if (!e) answer = r;
  });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
  return *answer;
}

TEST(Deadline, PassesTheResultThrough) { EXPECT_EQ(run(quick(), std::chrono::seconds(10)).value(), 42); }
TEST(Deadline, PassesExceptionsThrough) { EXPECT_THROW(run(broken(), std::chrono::seconds(10)), std::runtime_error); }
TEST(Deadline, NamesTheTimeout) {
  const Result<int> late = run(never(), std::chrono::milliseconds(5));
  ASSERT_TRUE(late.has_error());
  EXPECT_EQ(late.error().kind, ErrorKind::timeout);
  EXPECT_EQ(late.error().message, "the peer did not answer within 5 ms");
}

}  // namespace
}  // namespace berth
