// What berthd runs with and on: settings in force, load and memory.
#include <unistd.h>

#include <fstream>

#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

nlohmann::json load_json() {
  double load[3];
  if (::getloadavg(load, 3) != 3) return nullptr;
  return {load[0], load[1], load[2]};
}

// "MemTotal:       16316412 kB" in /proc/meminfo, as bytes.
nlohmann::json memory_json(const std::string& field) {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  std::uint64_t kilobytes = 0;
  while (in >> name >> kilobytes) {
    std::getline(in, unit);
    if (name == field + ":") return kilobytes * 1024;
  }
  return nullptr;
}

}  // namespace

nlohmann::json box_json() {
  return {{"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)}, {"load", load_json()}, {"memory_total", memory_json("MemTotal")}, {"memory_available", memory_json("MemAvailable")}};
}

asio::awaitable<ApiReply> get_settings(ApiCall& call) {
  nlohmann::json items = nlohmann::json::array();
  for (const SettingInForce& row : call.lane.shared.options.settings)
    items.push_back({{"key", row.section + "." + row.name}, {"value", row.value}, {"default", row.default_value}, {"given", row.given}, {"comment", row.comment}});
  co_return list_response(std::move(items));
}

}  // namespace berth::web
