// Carries out what the clock does to keys (auth/key_clock.hpp) while berthd runs: sleeps until the next of them ends, then ends what rests on it.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "auth/key_clock.hpp"
#include "auth/sessions.hpp"

namespace berth::server {

class KeyWatch {
 public:
  // Runs on `io`'s thread; `reader` is its own.
  KeyWatch(boost::asio::io_context& io, auth::KeyClock& key_clock, const auth::Directory& directory, auth::Sessions& sessions, const Clock& clock,
           std::unique_ptr<SQLite::Database> reader)
      : io_(io), key_clock_(key_clock), directory_(directory), sessions_(sessions), clock_(clock), reader_(std::move(reader)), timer_(io) {}

  boost::asio::awaitable<void> run();
  // Keys or policy have changed: look again. On any thread.
  void look_again();
  // Another berthd does it from now on. On that thread.
  void end() {
    ended_ = true;
    timer_.cancel();
  }

 private:
  boost::asio::awaitable<void> end_due();

  boost::asio::io_context& io_;
  auth::KeyClock& key_clock_;
  const auth::Directory& directory_;
  auth::Sessions& sessions_;
  const Clock& clock_;
  std::unique_ptr<SQLite::Database> reader_;
  boost::asio::steady_timer timer_;
  bool ended_ = false;
};

}  // namespace berth::server
