// What running workspaces and the machine use: asked of the keeper every few seconds, the last minutes of it in memory only.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "workspaces/keeper_link.hpp"

namespace berth::workspaces {

// The figures of the last kPoints samples. Its lock is held for a look-up, never for I/O.
class UsageHistory {
 public:
  static constexpr std::size_t kPoints = 60;
  static constexpr std::chrono::seconds kEvery{5};

  // One answer of the keeper to {"do":"usage"}; what is not understood is left out.
  void add(const nlohmann::json& answer);
  // Grows with each answer; 0: there is none yet. From any thread.
  std::uint64_t tick() const;
  // What came after `tick` as docs/api.md says (GET /events, "usage"): of `user`'s workspaces, or of all of them and the box. From any thread.
  nlohmann::json since(std::uint64_t tick, const std::string& user, bool all) const;

 private:
  struct Point { double cpu = 0; std::uint64_t memory = 0; std::uint64_t tick = 0; };
  struct Series {
    std::deque<Point> points;
    pid_t pid = 0;
    std::uint64_t cpu_us = 0, memory_limit = 0, seen = 0;
    double cpus = 0;
  };
  struct Gpu { std::string name; std::deque<Point> points; std::uint64_t memory_total = 0; bool tells = false; };
  void add_workspace(const nlohmann::json& item, std::uint64_t elapsed_us);
  void add_box(const nlohmann::json& box, std::uint64_t elapsed_us);
  static nlohmann::json to_json(const Series& series, std::uint64_t tick);

  mutable std::mutex mutex_;  // of everything below
  std::uint64_t tick_ = 0, at_us_ = 0;
  std::map<WorkspaceId, Series> workspaces_;
  Series box_;
  std::deque<double> loads_;  // beside box_.points
  std::vector<Gpu> gpus_;
};

// Asks for as long as berthd runs; on lane 0.
class UsageWatch {
 public:
  UsageWatch(boost::asio::any_io_executor executor, std::unique_ptr<KeeperLink> keeper);
  void start();
  void shutdown();
  const UsageHistory& history() const { return history_; }

 private:
  boost::asio::awaitable<void> run();
  boost::asio::steady_timer timer_;
  std::unique_ptr<KeeperLink> keeper_;
  UsageHistory history_;
  bool stopping_ = false;
};

}  // namespace berth::workspaces
