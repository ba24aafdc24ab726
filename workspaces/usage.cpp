#include "workspaces/usage.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "workspaces/keeper_protocol.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMostInAnswer = 500;  // workspaces that one page is told of
constexpr std::chrono::seconds kAnswerLimit{30};

std::uint64_t whole(const nlohmann::json& from, const char* key) { return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_of(from, key))); }

double fraction(const nlohmann::json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_number() ? std::max(0.0, found->get<double>()) : 0.0;
}

// Two digits say as much as a line some pixels high can show.
double rounded(double value) { return std::round(value * 100) / 100; }

template <class T>
void push(std::deque<T>& points, T point) {
  points.push_back(std::move(point));
  if (points.size() > UsageHistory::kPoints) points.pop_front();
}

}  // namespace

void UsageHistory::add(const nlohmann::json& answer) {
  const auto items = answer.find("workspaces"), box = answer.find("box");
  const std::uint64_t at = whole(answer, "at_us");
  const std::lock_guard lock(mutex_);
  const std::uint64_t elapsed = at_us_ > 0 && at > at_us_ ? at - at_us_ : 0;
  at_us_ = at;
  ++tick_;
  if (items != answer.end() && items->is_array())
    for (const nlohmann::json& item : *items)
      if (item.is_object()) add_workspace(item, elapsed);
  std::erase_if(workspaces_, [this](const auto& entry) { return entry.second.seen != tick_; });  // those that have ended
  if (box != answer.end() && box->is_object()) add_box(*box, elapsed);
}

void UsageHistory::add_workspace(const nlohmann::json& item, std::uint64_t elapsed_us) {
  Series& series = workspaces_[{text_of(item, "user"), text_of(item, "workspace")}];
  const auto pid = static_cast<pid_t>(number_of(item, "pid"));
  const std::uint64_t cpu = whole(item, "cpu_us");
  const bool goes_on = series.pid == pid && cpu >= series.cpu_us && elapsed_us > 0;
  if (goes_on) push(series.points, Point{static_cast<double>(cpu - series.cpu_us) / static_cast<double>(elapsed_us), whole(item, "memory"), tick_});
  series.pid = pid;
  series.cpu_us = cpu;
  series.memory_limit = whole(item, "memory_limit");
  series.cpus = fraction(item, "cpus");
  series.seen = tick_;
}

void UsageHistory::add_box(const nlohmann::json& box, std::uint64_t elapsed_us) {
  const std::uint64_t cpu = whole(box, "cpu_us");
  const auto load = box.find("load");
  if (box_.cpu_us > 0 && cpu >= box_.cpu_us && elapsed_us > 0) {
    push(box_.points, Point{static_cast<double>(cpu - box_.cpu_us) / static_cast<double>(elapsed_us), whole(box, "memory"), tick_});
    push(loads_, load != box.end() && load->is_array() && !load->empty() && load->front().is_number() ? load->front().get<double>() : 0.0);
  }
  box_.cpu_us = cpu;
  box_.memory_limit = whole(box, "memory_total");
  box_.cpus = fraction(box, "cpus");
  const auto gpus = box.find("gpus");
  const std::size_t count = gpus != box.end() && gpus->is_array() ? gpus->size() : 0;
  gpus_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const nlohmann::json& from = (*gpus)[i];
    Gpu& gpu = gpus_[i];
    if (!from.is_object()) continue;
    gpu.name = text_of(from, "name");
    gpu.memory_total = whole(from, "memory_total");
    gpu.tells = from.contains("busy");
    if (gpu.tells) push(gpu.points, Point{fraction(from, "busy"), whole(from, "memory"), tick_});
  }
}

std::uint64_t UsageHistory::tick() const {
  const std::lock_guard lock(mutex_);
  return tick_;
}

nlohmann::json UsageHistory::to_json(const Series& series, std::uint64_t tick) {
  nlohmann::json cpu = nlohmann::json::array(), memory = nlohmann::json::array();
  for (const Point& point : series.points) {
    if (point.tick <= tick) continue;
    cpu.push_back(rounded(point.cpu));
    memory.push_back(point.memory);
  }
  return {{"cpus", rounded(series.cpus)}, {"memory_limit", series.memory_limit}, {"cpu", std::move(cpu)}, {"memory", std::move(memory)}};
}

nlohmann::json UsageHistory::since(std::uint64_t tick, const std::string& user, bool all) const {
  const std::lock_guard lock(mutex_);
  nlohmann::json items = nlohmann::json::array();
  for (const auto& [id, series] : workspaces_) {
    if ((!all && id.user != user) || items.size() >= kMostInAnswer) continue;
    nlohmann::json item = to_json(series, tick);
    item["user"] = id.user;
    item["name"] = id.name;
    items.push_back(std::move(item));
  }
  nlohmann::json answer = {{"tick", tick_}, {"first", tick == 0}, {"every_s", kEvery.count()}, {"points", kPoints}, {"workspaces", std::move(items)}};
  if (!all) return answer;
  nlohmann::json box = to_json(box_, tick), load = nlohmann::json::array(), gpus = nlohmann::json::array();
  for (std::size_t i = 0; i < loads_.size(); ++i)
    if (box_.points[i].tick > tick) load.push_back(rounded(loads_[i]));
  for (const Gpu& gpu : gpus_) {
    nlohmann::json busy = nlohmann::json::array(), memory = nlohmann::json::array();
    for (const Point& point : gpu.points) {
      if (point.tick <= tick) continue;
      busy.push_back(rounded(point.cpu));
      memory.push_back(point.memory);
    }
    gpus.push_back({{"name", gpu.name}, {"tells", gpu.tells}, {"memory_total", gpu.memory_total}, {"busy", std::move(busy)}, {"memory", std::move(memory)}});
  }
  box["load"] = std::move(load);
  box["gpus"] = std::move(gpus);
  answer["box"] = std::move(box);
  return answer;
}

UsageWatch::UsageWatch(asio::any_io_executor executor, std::unique_ptr<KeeperLink> keeper) : timer_(executor), keeper_(std::move(keeper)) {}

void UsageWatch::start() {
  keeper_->start({});
  asio::co_spawn(timer_.get_executor(), run(), [](const std::exception_ptr& error) {
    if (error) log_error("usage.ended", {});
  });
}

void UsageWatch::shutdown() {
  stopping_ = true;
  timer_.cancel();
  keeper_->close();
}

asio::awaitable<void> UsageWatch::run() {
  while (!stopping_) {
    if (keeper_->connected()) {  // a keeper that is away is dialled by its link; there is nothing to tell meanwhile
      nlohmann::json request = {{"do", "usage"}};
      auto answer = co_await keeper_->ask(std::move(request), kAnswerLimit, nullptr);
      if (answer) history_.add(*answer);
    }
    timer_.expires_after(UsageHistory::kEvery);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace berth::workspaces
