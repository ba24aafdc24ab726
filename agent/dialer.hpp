// Keeps the agent connected: one connection to berthd for each of its lanes, dialled again with back-off when one is lost.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/connection.hpp"
#include "agent/loop.hpp"

namespace berth::agent {

class Dialer {
 public:
  struct Handlers {
    std::function<void(const std::shared_ptr<Connection>&, std::string_view text, Descriptors descriptors)> request;
    std::function<void(const std::shared_ptr<Connection>&)> lost;
  };
  Dialer(Loop& loop, std::string path, Handlers handlers);
  void start();
  // This connection is of a berthd that was replaced: it stays as long as that one keeps it, and another is dialled in its place.
  void dial_another(std::uint64_t connection_id);
  void stop();  // closes every connection and dials no more
  std::size_t connected() const { return welcomed_.size(); }

 private:
  static constexpr std::chrono::milliseconds kFirstBackoff{50}, kLastBackoff{2000}, kWelcomeLimit{10'000};
  static constexpr std::size_t kMaxLanes = 256;
  void dial();
  void dial_later();
  void watch_directory();
  void on_message(const std::shared_ptr<Connection>& connection, std::string_view text, Descriptors descriptors);
  void on_closed(const std::shared_ptr<Connection>& connection);
  bool take_welcome(std::string_view text);

  Loop& loop_;
  std::string path_, instance_;
  Handlers handlers_;
  std::shared_ptr<Connection> greeting_;                // dialled, not yet welcomed: one at a time
  std::vector<std::shared_ptr<Connection>> welcomed_;
  std::vector<std::shared_ptr<Connection>> replaced_;  // of berthds that were replaced
  std::size_t wanted_ = 1;
  std::chrono::milliseconds backoff_ = kFirstBackoff;
  Loop::TimerId retry_ = 0, welcome_limit_ = 0;
  FileDescriptor inotify_;
  bool stopped_ = false;
};

}  // namespace berth::agent
