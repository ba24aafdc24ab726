// What is said of a request that takes long.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace berth::keeper {

// Repeats the last progress line while a long step gives none, so that the other side knows that we are alive.
struct LifeSigns : std::enable_shared_from_this<LifeSigns> {
  static constexpr std::chrono::seconds kPause{10};
  LifeSigns(boost::asio::any_io_executor executor, std::function<void(std::string)> say_line) : timer(executor), say(std::move(say_line)) {}
  void progress(std::string_view line) {
    if (!say) return;
    last = line;
    seconds = std::chrono::seconds(0);
    say(last);
    arm();
  }
  void arm() {
    timer.expires_after(kPause);
    timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error || !self->say) return;
      self->seconds += kPause;
      self->say(self->last + " (" + std::to_string(self->seconds.count()) + " s)");
      self->arm();
    });
  }
  void end() {
    say = nullptr;
    timer.cancel();
  }
  struct Until {  // the end of a scope, however it is left
    explicit Until(LifeSigns& of) : signs(of) {}
    Until(const Until&) = delete;
    ~Until() { signs.end(); }
    LifeSigns& signs;
  };
  boost::asio::steady_timer timer;
  std::function<void(std::string)> say;
  std::string last;
  std::chrono::seconds seconds{0};
};

}  // namespace berth::keeper
