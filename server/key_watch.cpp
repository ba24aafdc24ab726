#include "server/key_watch.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

// A timer counts seconds that pass, keys end by the wall clock: when that is set, it is noticed after at most this long.
constexpr std::chrono::seconds kLongestSleep{20};
constexpr std::chrono::seconds kRetry{5};  // after a failed write (a full disk)

}  // namespace

void KeyWatch::look_again() {
  asio::post(io_, [this] { timer_.cancel(); });
}

asio::awaitable<void> KeyWatch::end_due() {
  auto ended = co_await key_clock_.run_due();
  if (!ended) {
    log_error("keys.clock", {{"error", ended.error().message}});
    timer_.expires_after(kRetry);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return;
  }
  for (const auth::Key& key : *ended) {
    const std::size_t count = sessions_.kill_key(key.fingerprint, auth::words_for_ended(key, directory_.judge(key)));
    log_info("key.ended", {{"user", key.user}, {"key", key.fingerprint}, {"sessions", count}});
  }
}

asio::awaitable<void> KeyWatch::run() {
  Timestamp due = key_clock_.next(*reader_);
  while (!ended_) {
    const Timestamp now = clock_.now();
    if (due != Timestamp{} && due <= now) {
      co_await end_due();
      due = key_clock_.next(*reader_);
      continue;
    }
    std::chrono::microseconds sleep = kLongestSleep;
    if (due != Timestamp{}) sleep = std::min(sleep, due - now);
    timer_.expires_after(sleep);
    auto [error] = co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    // What was due stays due: only something nearer may take its place before it has been done.
    if (error && !(due != Timestamp{} && due <= clock_.now())) due = key_clock_.next(*reader_);
  }
}

}  // namespace berth::server
