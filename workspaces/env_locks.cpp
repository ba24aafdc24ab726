// What is read out of locks. A lock comes from a container where the user's code ran: nothing in it is taken for granted.
#include <algorithm>

#include "workspaces/env_builds.hpp"

namespace berth::workspaces {
namespace {
using nlohmann::json;

constexpr std::size_t kLockLimit = 4 << 20, kPackageLimit = 20000;
constexpr int kDepth = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// One run of digits or of letters; the rest separates.
std::string_view next_part(std::string_view& version) {
  while (!version.empty() && !std::isalnum(static_cast<unsigned char>(version.front()))) version.remove_prefix(1);
  std::size_t size = 0;
  while (size < version.size() && std::isalnum(static_cast<unsigned char>(version[size])) && is_digit(version[size]) == is_digit(version[0])) ++size;
  const std::string_view part = version.substr(0, size);
  version.remove_prefix(size);
  return part;
}

// Whether `a` comes before `b`: numbers as numbers, letters ("rc1") before what follows them or nothing.
bool is_older(std::string_view a, std::string_view b) {
  for (;;) {
    std::string_view left = next_part(a), right = next_part(b);
    if (left.empty() && right.empty()) return false;
    if (left.empty()) return is_digit(right.front());
    if (right.empty()) return !is_digit(left.front());
    if (is_digit(left.front()) != is_digit(right.front())) return !is_digit(left.front());
    if (is_digit(left.front())) {
      left.remove_prefix(std::min(left.find_first_not_of('0'), left.size()));
      right.remove_prefix(std::min(right.find_first_not_of('0'), right.size()));
      if (left.size() != right.size()) return left.size() < right.size();
    }
    if (left != right) return left < right;
  }
}

std::map<std::pair<std::string, std::string>, const json*> by_name(const json& lock) {
  std::map<std::pair<std::string, std::string>, const json*> all;
  for (const char* list : {"packages", "pip"}) {
    for (const json& package : lock[list]) all[{text_of(package, "name"), text_of(package, "kind")}] = &package;
  }
  return all;
}

json brief(const json& package) {
  return {{"name", text_of(package, "name")}, {"version", text_of(package, "version")}, {"build", text_of(package, "build")}, {"kind", text_of(package, "kind")}};
}

}  // namespace

std::string environment_path(std::string_view owner, const std::string& lock_hash) {
  return std::string("/opt/berth/envs/") + (owner == auth::kTeam ? "team/" : "") + lock_hash.substr(0, 32);
}

bool is_older_version(std::string_view a, std::string_view b) { return is_older(a, b); }

std::string glibc_needed(const json& lock) {
  std::string most;
  const auto take = [&](std::string_view version) {
    if (!version.empty() && version.size() < 16 && (most.empty() || is_older(most, version))) most = version;
  };
  constexpr std::string_view kDepends = "__glibc", kAtLeast = ">=", kTag = "manylinux_";
  for (const json& package : lock["packages"]) {
    const auto depends = package.find("depends");
    if (depends == package.end() || !depends->is_array()) continue;
    for (const json& entry : *depends) {
      const std::string text = entry.is_string() ? entry.get<std::string>() : std::string();
      const std::size_t bound = text.starts_with(kDepends) ? text.find(kAtLeast) : std::string::npos;
      if (bound == std::string::npos) continue;
      const std::size_t begin = bound + kAtLeast.size();
      take(std::string_view(text).substr(begin, text.find_first_not_of("0123456789.", begin) - begin));
    }
  }
  // Wheels say it in their names: manylinux_2_28_x86_64.
  for (const json& wheel : lock["pip"]) {
    const std::string name = text_of(wheel, "file_name");
    std::string least;
    for (std::size_t at = name.find(kTag); at != std::string::npos; at = name.find(kTag, at + 1)) {
      const std::size_t begin = at + kTag.size(), end = name.find_first_not_of("0123456789_", begin);
      std::string version = name.substr(begin, end - begin);
      while (version.ends_with('_')) version.pop_back();
      std::replace(version.begin(), version.end(), '_', '.');
      if (least.empty() || is_older(version, least)) least = version;
    }
    take(least);
  }
  return most;
}

Result<json> parse_lock(const std::string& text) {
  const Error bad{ErrorKind::protocol, "the build answered with something else than a lock"};
  if (text.size() > kLockLimit) return bad;
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth <= kDepth; };
  json lock = json::parse(text, shallow, false);
  if (!lock.is_object()) return bad;
  for (const char* list : {"packages", "pip"}) {
    if (!lock.contains(list)) lock[list] = json::array();
    if (!lock[list].is_array() || lock[list].size() > kPackageLimit) return bad;
    for (const json& package : lock[list]) {
      if (!package.is_object() || text_of(package, "name").empty() || text_of(package, "sha256").size() != 64) return bad;
    }
  }
  return Result<json>(boost::system::in_place_value, std::move(lock));
}

json packages_of(const json& lock) {
  json all = json::array();
  for (const char* list : {"packages", "pip"}) {
    for (const json& package : lock[list]) {
      json one = brief(package);
      one["channel"] = text_of(package, "channel");
      one["size_bytes"] = number_of(package, "size");
      all.push_back(std::move(one));
    }
  }
  return all;
}

json diff_of(const json& from, const json& to) {
  const auto before = by_name(from), after = by_name(to);
  json diff = {{"added", json::array()}, {"removed", json::array()}, {"changed", json::array()}};
  for (const auto& [key, package] : after) {
    const auto old = before.find(key);
    if (old == before.end()) {
      diff["added"].push_back(brief(*package));
    } else if (text_of(*old->second, "sha256") != text_of(*package, "sha256")) {
      const std::string was = text_of(*old->second, "version"), is = text_of(*package, "version");
      diff["changed"].push_back({{"name", key.first}, {"kind", key.second}, {"from", brief(*old->second)}, {"to", brief(*package)},
                                 {"direction", was == is ? "rebuilt" : is_older(was, is) ? "up" : "down"}});
    }
  }
  for (const auto& [key, package] : before) {
    if (!after.contains(key)) diff["removed"].push_back(brief(*package));
  }
  return diff;
}

std::string explicit_spec(const json& lock) {
  std::string text = "# platform: " + text_of(lock, "platform") + "\n@EXPLICIT\n";
  for (const json& package : lock["packages"]) text += text_of(package, "url") + "#sha256:" + text_of(package, "sha256") + "\n";
  for (const json& wheel : lock["pip"]) text += "# pip " + text_of(wheel, "name") + "==" + text_of(wheel, "version") + " --hash=sha256:" + text_of(wheel, "sha256") + "\n";
  return text;
}

}  // namespace berth::workspaces
