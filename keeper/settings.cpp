#include "keeper/settings.hpp"

#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "config/reading.hpp"
#include "config/toml.hpp"
#include "workspaces/names.hpp"

namespace berth::keeper {
namespace {

// Each answers what is wrong with the value, or "".
using Read = std::string (*)(Settings& into, const toml::node& node);

std::string read_text(const toml::node& node, std::string& into) {
  const auto text = node.value_exact<std::string>();
  if (!text || text->find('\0') != std::string::npos) return "must be a string";
  into = *text;
  return "";
}

std::string read_path(const toml::node& node, std::filesystem::path& into) {
  std::string text;
  if (std::string problem = read_text(node, text); !problem.empty()) return problem;
  if (text.empty() || text.front() != '/') return "must be an absolute path, not '" + text + "'";
  into = text;
  return "";
}

std::string read_optional_path(const toml::node& node, std::filesystem::path& into) {
  if (node.value_exact<std::string>() == "") {
    into.clear();
    return "";
  }
  return read_path(node, into);
}

std::string read_choice(const toml::node& node, std::string& into, std::initializer_list<std::string_view> choices) {
  std::string text;
  if (std::string problem = read_text(node, text); !problem.empty()) return problem;
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    std::string all;
    for (const std::string_view choice : choices) all += (all.empty() ? "" : ", ") + std::string(choice);
    return "'" + text + "' is not one of " + all;
  }
  into = std::move(text);
  return "";
}

std::string read_number(const toml::node& node, std::int64_t& into, std::int64_t min, std::int64_t max) {
  const auto number = node.value_exact<std::int64_t>();
  if (!number) return "must be a whole number";
  if (*number < min || *number > max) return "must be between " + std::to_string(min) + " and " + std::to_string(max);
  into = *number;
  return "";
}

// 60, or 0.5.
std::string read_minutes(const toml::node& node, std::chrono::seconds& into) {
  const auto number = node.value<double>();
  if (!number) return "must be a number";
  if (!(*number >= 0.1 && *number <= 1440)) return "must be between 0.1 and 1440";
  into = std::chrono::seconds(std::llround(*number * 60));
  return "";
}

// "512m", "8g": a whole number and a unit, in powers of 1024.
std::string read_size(const toml::node& node, std::int64_t& into, std::int64_t min) {
  std::string text;
  if (!read_text(node, text).empty()) return "must be a size in quotes, such as \"512m\" or \"8g\"";
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr std::string_view units = "kmgt";
  const std::size_t unit = end == text.data() + text.size() - 1 ? units.find(*end) : std::string_view::npos;
  if (error != std::errc() || number <= 0 || unit == std::string_view::npos || number > (INT64_MAX >> (10 * (unit + 1)))) {
    return "'" + text + "' is not a size such as \"512m\" or \"8g\"";
  }
  number <<= 10 * (unit + 1);
  if (number < min) return "must be at least " + std::to_string(min >> 20) + "m";
  into = number;
  return "";
}

// The same, or "off": 0.
std::string read_quota(const toml::node& node, std::int64_t& into) {
  if (node.value_exact<std::string>() != "off") return read_size(node, into, 1 << 20);
  into = 0;
  return "";
}

std::string read_list(const toml::node& node, std::vector<std::string>& into) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return "must be a list of strings";
  into.clear();
  for (const toml::node& entry : *array) {
    std::string text;
    if (!read_text(entry, text).empty() || text.empty()) return "must be a list of strings";
    into.push_back(std::move(text));
  }
  return "";
}

std::string read_engine(Settings& s, const toml::node& node) {
  std::string text;
  if (std::string problem = read_choice(node, text, {"podman", "process"}); !problem.empty()) return problem;
  s.engine = text == "podman" ? EngineKind::podman : EngineKind::process;
  return "";
}

bool all_of(std::string_view text, std::string_view allowed) { return text.find_first_not_of(allowed) == std::string_view::npos; }
constexpr std::string_view kLowerAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";

std::string read_instance(Settings& s, const toml::node& node) {
  std::string text;
  if (std::string problem = read_text(node, text); !problem.empty()) return problem;
  if (text.empty() || text.size() > 16 || !all_of(text, kLowerAndDigits)) return "must have 1 to 16 of a to z and 0 to 9";
  s.instance = std::move(text);
  return "";
}

std::string read_prefix(Settings& s, const toml::node& node) {
  std::string text;
  if (std::string problem = read_text(node, text); !problem.empty()) return problem;
  if (text.empty() || text.size() > 4 || !all_of(text, kLowerAndDigits)) return "must have 1 to 4 of a to z and 0 to 9";
  s.podman.interface_prefix = std::move(text);
  return "";
}

// These go into nft's rules: only what an IPv4 or IPv6 network is made of.
std::string read_networks(Settings& s, const toml::node& node) {
  std::vector<std::string> networks;
  if (std::string problem = read_list(node, networks); !problem.empty()) return problem;
  for (const std::string& network : networks) {
    if (!all_of(network, "0123456789abcdefABCDEF.:/") || network.find_first_of(".:") == std::string::npos) {
      return "'" + network + "' is not a network such as 169.254.0.0/16 or fd00::/8";
    }
  }
  s.podman.blocked_networks = std::move(networks);
  return "";
}

// Mounted at the same place inside: nothing that the system there needs may be covered.
std::string read_folders(Settings& s, const toml::node& node) {
  std::vector<std::string> folders;
  if (std::string problem = read_list(node, folders); !problem.empty()) return problem;
  for (const std::string& folder : folders) {
    const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
    if (!path.is_absolute() || std::distance(path.begin(), path.end()) < 3 || path.string() != folder) return "'" + folder + "' is not the plain absolute path of a folder such as /srv/conda";
  }
  s.environments.channel_folders = std::move(folders);
  return "";
}

std::string read_virtual_packages(Settings& s, const toml::node& node) {
  std::vector<std::string> packages;
  if (std::string problem = read_list(node, packages); !problem.empty()) return problem;
  for (const std::string& package : packages) {
    if (!package.starts_with("__") || package.find('=') == std::string::npos) return "'" + package + "' is not a virtual package such as __cuda=12.4";
  }
  s.environments.virtual_packages = std::move(packages);
  return "";
}

std::string read_cpus(Settings& s, const toml::node& node) {
  const auto number = node.value<double>();
  if (!number || node.is_boolean() || *number < 0.1 || *number > 4096) return "must be a number of CPUs, such as 4 or 0.5";
  s.limits.cpus = *number;
  return "";
}

struct Key {
  std::string_view section, name;
  Read read;
};

using S = Settings;
using N = const toml::node;
constexpr Key kKeys[] = {
    {"", "socket", [](S& s, N& n) { return read_path(n, s.socket); }},
    {"", "allowed_user", [](S& s, N& n) { return read_text(n, s.allowed_user); }},
    {"", "instance", read_instance},
    {"", "engine", read_engine},
    {"", "log_level", [](S& s, N& n) { return read_choice(n, s.log_level, {"debug", "info", "warn", "error"}); }},
    {"", "homes", [](S& s, N& n) { return read_path(n, s.homes); }},
    {"", "agent", [](S& s, N& n) { return read_path(n, s.agent); }},
    {"", "agent_sockets", [](S& s, N& n) { return read_path(n, s.agent_sockets); }},
    {"podman", "socket", [](S& s, N& n) { return read_path(n, s.podman.socket); }},
    {"podman", "image", [](S& s, N& n) { return read_text(n, s.podman.image); }},
    {"podman", "images", [](S& s, N& n) { return read_list(n, s.podman.images); }},
    {"podman", "pull", [](S& s, N& n) { return read_choice(n, s.podman.pull, {"never", "missing"}); }},
    {"podman", "network", [](S& s, N& n) { return read_choice(n, s.podman.network, {"bridge", "none"}); }},
    {"podman", "interface_prefix", read_prefix},
    {"podman", "firewall", [](S& s, N& n) { return read_choice(n, s.podman.firewall, {"nft", "off"}); }},
    {"podman", "blocked_networks", read_networks},
    {"podman", "uid_start", [](S& s, N& n) { return read_number(n, s.podman.uid_start, 65536, 0xfff00000LL); }},
    {"podman", "uid_count", [](S& s, N& n) { return read_number(n, s.podman.uid_count, 1, 65000); }},
    {"limits", "memory", [](S& s, N& n) { return read_size(n, s.limits.memory, 64 << 20); }},
    {"limits", "cpus", read_cpus},
    {"limits", "pids", [](S& s, N& n) { return read_number(n, s.limits.pids, 32, 4000000); }},
    {"limits", "shm", [](S& s, N& n) { return read_size(n, s.limits.shm, 1 << 20); }},
    {"limits", "tmp", [](S& s, N& n) { return read_size(n, s.limits.tmp, 1 << 20); }},
    {"limits", "stop_seconds", [](S& s, N& n) { return read_number(n, s.limits.stop_seconds, 1, 300); }},
    {"environments", "store", [](S& s, N& n) { return read_path(n, s.environments.store); }},
    {"environments", "builder", [](S& s, N& n) { return read_path(n, s.environments.builder); }},
    {"environments", "image", [](S& s, N& n) { return read_text(n, s.environments.image); }},
    {"environments", "condarc", [](S& s, N& n) { return read_optional_path(n, s.environments.condarc); }},
    {"environments", "credentials", [](S& s, N& n) { return read_optional_path(n, s.environments.credentials); }},
    {"environments", "pip_conf", [](S& s, N& n) { return read_optional_path(n, s.environments.pip_conf); }},
    {"environments", "channel_folders", read_folders},
    {"environments", "virtual_packages", read_virtual_packages},
    {"environments", "memory", [](S& s, N& n) { return read_size(n, s.environments.memory, 256 << 20); }},
    {"environments", "disk", [](S& s, N& n) { return read_size(n, s.environments.disk, 64 << 20); }},
    {"environments", "cache", [](S& s, N& n) { return read_size(n, s.environments.cache, 1 << 20); }},
    {"environments", "minutes", [](S& s, N& n) { return read_minutes(n, s.environments.time); }},
    {"environments", "at_once", [](S& s, N& n) { return read_number(n, s.environments.at_once, 1, 64); }},
    {"environments", "quota", [](S& s, N& n) { return read_quota(n, s.environments.quota); }},
    {"environments", "team_quota", [](S& s, N& n) { return read_quota(n, s.environments.team_quota); }},
    {"process", "user", [](S& s, N& n) { return read_text(n, s.process.user); }},
};

// Sections whose keys are names.
struct FreeSection {
  std::string_view name;
  std::string (*read)(Settings& into, const std::string& key, const toml::node& node);
};

std::string read_env(Settings& s, const std::string& name, const toml::node& node) {
  if (name.empty() || name.find('=') != std::string::npos) return "is not a variable's name";
  return read_text(node, s.env[name]);
}

std::string read_quota_of(Settings& s, const std::string& user, const toml::node& node) {
  if (!workspaces::is_user_name(user)) return "is not a user's name";
  return read_quota(node, s.quotas[user]);
}

std::string read_image(Settings& s, const std::string& name, const toml::node& node) {
  if (!workspaces::is_workspace_name(name) || name == "default") return "is not a name for an image: a letter, then letters, digits, - and _, all small, and not default";
  const toml::table* table = node.as_table();
  if (table == nullptr) return "must be a table: { image = \"…\", description = \"…\" }";
  Settings::Image& image = s.images[name];
  for (const auto& [key, value] : *table) {
    if (key.str() != "image" && key.str() != "description") return "knows image and description, not '" + std::string(key.str()) + "'";
    if (std::string problem = read_text(value, key.str() == "image" ? image.image : image.description); !problem.empty()) return problem;
  }
  return image.image.empty() ? "names no image" : "";
}

constexpr FreeSection kFreeSections[] = {{"env", read_env}, {"quotas", read_quota_of}, {"images", read_image}};

const FreeSection* free_section(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFreeSections), std::end(kFreeSections), [&](const FreeSection& section) { return section.name == name; });
  return found == std::end(kFreeSections) ? nullptr : found;
}

std::string full_name(const Key& key) { return key.section.empty() ? std::string(key.name) : std::string(key.section) + "." + std::string(key.name); }

std::string nearest_key(std::string_view name) {
  std::string best;
  for (const Key& key : kKeys) {
    std::string candidate = full_name(key);
    if (best.empty() || config::edit_distance(name, candidate) < config::edit_distance(name, best)) best = std::move(candidate);
  }
  return best;
}

class Reader {
 public:
  Reader(std::string_view file, Settings& into) : faults_(file), into_(into) {}

  void read(const toml::table& document) {
    for (const auto& [name, node] : document) {
      const std::string key(name.str());
      const bool section = std::any_of(std::begin(kKeys), std::end(kKeys), [&](const Key& k) { return k.section == key; }) || free_section(key) != nullptr;
      if (!section) {
        read_key("", key, node, name.source().begin.line);
      } else if (const toml::table* table = node.as_table()) {
        for (const auto& [inner, value] : *table) read_key(key, std::string(inner.str()), value, inner.source().begin.line);
      } else {
        faults_.add(name.source().begin.line, "'" + key + "' must be a section: [" + key + "]");
      }
    }
  }
  config::Faults& faults() { return faults_; }

 private:
  void read_key(const std::string& section, const std::string& name, const toml::node& node, std::size_t line) {
    const std::string full = section.empty() ? name : section + "." + name;
    if (const FreeSection* of_names = free_section(section)) {
      if (std::string problem = of_names->read(into_, name, node); !problem.empty()) faults_.add(line, full + " " + problem);
      return;
    }
    const auto* key = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key& k) { return k.section == section && k.name == name; });
    if (key == std::end(kKeys)) {
      faults_.add(line, "unknown key '" + full + "'; did you mean '" + nearest_key(full) + "'?");
    } else if (std::string problem = key->read(into_, node); !problem.empty()) {
      faults_.add(line, full + " " + problem);
    }
  }
  config::Faults faults_;
  Settings& into_;
};

}  // namespace

std::string Settings::resolve_image(std::string_view wanted) const {
  if (wanted.empty() || wanted == "default" || wanted == podman.image) return podman.image;
  if (const auto named = images.find(std::string(wanted)); named != images.end()) return named->second.image;
  return std::find(podman.images.begin(), podman.images.end(), wanted) != podman.images.end() ? std::string(wanted) : std::string();
}

std::int64_t Settings::quota_of(const std::string& owner) const {
  if (owner == "team") return environments.team_quota;
  const auto own = quotas.find(owner);
  return own == quotas.end() ? environments.quota : own->second;
}

Result<Settings> parse_settings(std::string_view text, std::string_view file) {
  Settings settings;
  Reader reader(file, settings);
  const toml::parse_result parsed = toml::parse(text, std::string(file));
  if (!parsed) {
    reader.faults().add(parsed.error().source().begin.line, std::string(parsed.error().description()));
  } else {
    reader.read(parsed.table());
    const std::int64_t end = settings.podman.uid_start + settings.podman.uid_count * kRangeSize;
    if (end > 0xffffffffLL) reader.faults().add(0, "podman.uid_start and podman.uid_count reach past the largest user id");
  }
  if (reader.faults().any()) return Error{ErrorKind::invalid, reader.faults().text()};
  return settings;
}

Result<Settings> load_settings(const std::filesystem::path& path) {
  const Result<std::string> text = config::read_settings_file(path);
  if (!text) return text.error();
  return parse_settings(*text, path.string());
}

Result<Account> find_account(const std::string& name) {
  Account account;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), account.uid);
  const bool number = error == std::errc() && end == name.data() + name.size();
  const passwd* entry = number ? ::getpwuid(account.uid) : ::getpwnam(name.c_str());
  if (entry != nullptr) return Account{entry->pw_uid, entry->pw_gid};
  if (number) return Account{account.uid, static_cast<gid_t>(account.uid)};
  return Error{ErrorKind::not_found, "there is no user '" + name + "' on this machine"};
}

}  // namespace berth::keeper
