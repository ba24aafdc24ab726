#include "config/settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "base/assert.hpp"
#include "config/reading.hpp"
#include "config/settings_table.hpp"

namespace berth {
namespace {
using config::edit_distance;
using config::Faults;
using config::settings_keys;
using config::settings_sections;
using config::SettingsKey;

// The known key that was probably meant: nearest in the same section, else the same name in another section, else nearest of all.
std::string nearest_key(std::string_view section, std::string_view name) {
  std::string best;
  std::size_t best_score = SIZE_MAX;
  for (const SettingsKey& key : settings_keys()) {
    const std::size_t elsewhere = key.section == section ? 0 : 2;
    const std::size_t score = edit_distance(name, key.name) + elsewhere;
    if (score < best_score) {
      best_score = score;
      best = std::string(key.section) + "." + std::string(key.name);
    }
  }
  return best;
}

std::string nearest_section(std::string_view name) {
  const auto sections = settings_sections();
  return std::string(std::min_element(sections.begin(), sections.end(), [name](const auto& a, const auto& b) {
                       return edit_distance(name, a.name) < edit_distance(name, b.name);
                     })->name);
}

const SettingsKey* find_key(std::string_view section, std::string_view name) {
  for (const SettingsKey& key : settings_keys()) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

void apply(const toml::table& document, Settings& settings, Faults& faults) {
  for (const auto& [section_name, section_node] : document) {
    const std::string section(section_name.str());
    const auto sections = settings_sections();
    const bool known = std::any_of(sections.begin(), sections.end(), [&](const auto& s) { return s.name == section; });
    const toml::table* table = section_node.as_table();
    if (!known && table == nullptr) {
      faults.add(section_name.source().begin.line, "unknown key '" + section + "'; did you mean '" + nearest_key("", section) + "'? Keys stand under a [section]");
      continue;
    }
    if (!known) {
      faults.add(section_name.source().begin.line, "unknown section [" + section + "]; did you mean [" + nearest_section(section) + "]?");
      continue;
    }
    if (table == nullptr) {
      faults.add(section_name.source().begin.line, "'" + section + "' must be a section: [" + section + "]");
      continue;
    }
    for (const auto& [key_name, node] : *table) {
      const std::string name(key_name.str());
      const SettingsKey* key = find_key(section, name);
      if (key == nullptr) {
        faults.add(key_name.source().begin.line, "unknown key '" + section + "." + name + "'; did you mean '" + nearest_key(section, name) + "'?");
      } else if (std::string problem = key->read(settings, node, key->limits); !problem.empty()) {
        faults.add(key_name.source().begin.line, section + "." + name + ": " + problem);
      }
    }
  }
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

std::size_t line_of(const toml::table& document, std::string_view section, std::string_view name) {
  const toml::node* node = document.at_path(std::string(section) + "." + std::string(name)).node();
  return node == nullptr ? 0 : node->source().begin.line;
}

// "https://HOST[:PORT]" with nothing after it: browsers compare origins literally.
bool is_origin(std::string_view url) {
  if (!url.starts_with("https://")) return false;
  url.remove_prefix(8);
  return !url.empty() && url.find_first_of("/?#@ \"'\\") == std::string_view::npos;
}

// "apps.box.example" or "apps.box.example:443": small letters, since it is compared with what browsers send.
bool is_wildcard_domain(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() || port.size() > 5 || port.front() == '0' || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
    if (std::atoi(std::string(port).c_str()) > 65535) return false;
    text = text.substr(0, colon);
  }
  const bool dots = text.find("..") == std::string_view::npos && !text.starts_with('.') && !text.ends_with('.');
  return !text.empty() && text.size() <= 189 && dots && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
}

std::string origin(const std::string& host, std::int64_t port) {
  const std::string shown = host.find(':') != std::string::npos && host.front() != '[' ? "[" + host + "]" : host;
  return "https://" + shown + (port == 443 ? "" : ":" + std::to_string(port));
}

// The same host, another port.
std::string with_port_added(const std::string& url, std::int64_t offset) {
  std::string host = url.substr(8);
  std::int64_t port = 443;
  const std::size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
    port = std::atoll(host.c_str() + colon + 1);
    host.resize(colon);
  }
  return origin(host, port + offset);
}

void check_together(const toml::table& document, const Settings& s, Faults& faults) {
  if (s.server.state_dir.empty()) faults.add(line_of(document, "server", "state_dir"), "server.state_dir must not be empty");
  if (s.server.run_dir.empty()) faults.add(line_of(document, "server", "run_dir"), "server.run_dir must not be empty");
  if (s.web.certificate.empty() != s.web.private_key.empty()) {
    const bool lonely_key = s.web.certificate.empty();
    faults.add(line_of(document, "web", lonely_key ? "private_key" : "certificate"),
               "web.certificate and web.private_key go together: set both, or none for a self-signed one");
  }
  if (!s.web.public_url.empty() && !is_origin(s.web.public_url)) {
    faults.add(line_of(document, "web", "public_url"), "web.public_url must be \"https://HOST\" or \"https://HOST:PORT\", without a path");
  }
  if (!s.web.wildcard_domain.empty() && !is_wildcard_domain(s.web.wildcard_domain)) {
    faults.add(line_of(document, "web", "wildcard_domain"), "web.wildcard_domain must be a domain in small letters, with a port or without: \"apps.box.example\"");
  }
  if (!s.web.wildcard_domain.empty() && s.web.public_url.empty()) {
    faults.add(line_of(document, "web", "wildcard_domain"), "web.wildcard_domain needs web.public_url, where browsers log in");
  }
  for (const ListenAddress& address : s.web.listen) {
    if (address.port + s.web.workspace_port_offset > 65535) {
      faults.add(line_of(document, "web", "listen"), "web.listen: port " + std::to_string(address.port) +
                                                         " plus web.workspace_port_offset is over 65535");
    }
  }
  for (const std::string& pattern : s.ssh.env_allow) {
    if (pattern.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") < pattern.size() - (pattern.back() == '*')) {
      faults.add(line_of(document, "ssh", "env_allow"), "ssh.env_allow: '" + pattern + "' is not a name, or a name with a final *");
    }
  }
}

void derive(Settings& s) {
  if (s.ssh.public_host.empty()) s.ssh.public_host = host_name();
  if (s.ssh.public_port == 0) s.ssh.public_port = s.ssh.listen.front().port;
  s.web.public_url_given = !s.web.public_url.empty();
  if (!s.web.public_url_given) s.web.public_url = origin(s.ssh.public_host, s.web.listen.front().port);
  s.web.workspace_public_url = with_port_added(s.web.public_url, s.web.workspace_port_offset);
  if (s.admin.socket.empty()) s.admin.socket = s.server.run_dir / "admin.sock";
  if (s.keeper.socket.empty()) s.keeper.socket = s.server.run_dir / "keeper.sock";
  if (s.workspaces.agent_socket_root.empty()) s.workspaces.agent_socket_root = s.server.run_dir / "agents";
}

std::string toml_text(const toml::node& node) {
  std::ostringstream text;
  node.visit([&text](const auto& value) { text << value; });
  return std::move(text).str();
}

// What an admin may read on the pages. A key that holds a secret would be left out here by its name.
bool is_secret(std::string_view name) {
  return name.find("secret") != std::string_view::npos || name.find("password") != std::string_view::npos || name.find("token") != std::string_view::npos;
}

std::vector<SettingInForce> in_force(const toml::table& document) {
  std::vector<SettingInForce> all;
  for (const SettingsKey& key : settings_keys()) {
    if (is_secret(key.name)) continue;
    SettingInForce row{std::string(key.section), std::string(key.name), std::string(key.default_text), std::string(key.default_text), std::string(key.comment)};
    if (const toml::node* node = document.at_path(row.section + "." + row.name).node()) {
      row.value = toml_text(*node);
      row.given = true;
    }
    all.push_back(std::move(row));
  }
  return all;
}

}  // namespace

std::string example_toml() {
  std::string text =
      "# Settings of berthd. Every key is here with its default; a key that is left out has that default too.\n"
      "# Durations: 90s, 15m, 12h, 30d, 2w. Check a file with: berthd --check-config --config FILE\n";
  for (const auto& section : settings_sections()) {
    text += "\n# " + std::string(section.comment) + "\n[" + std::string(section.name) + "]\n";
    for (const SettingsKey& key : settings_keys()) {
      if (key.section == section.name) {
        text += "# " + std::string(key.comment) + "\n" + std::string(key.name) + " = " + std::string(key.default_text) + "\n";
      }
    }
  }
  return text;
}

Result<Settings> parse_settings(std::string_view text, std::string_view file) {
  Faults faults(file);
  Settings settings;
  const toml::parse_result defaults = toml::parse(example_toml());
  BERTH_ASSERT(defaults);
  apply(defaults.table(), settings, faults);
  BERTH_ASSERT(!faults.any());

  const toml::parse_result document = toml::parse(text);
  if (!document) {
    faults.add(document.error().source().begin.line, std::string(document.error().description()));
    return Error{ErrorKind::invalid, faults.text()};
  }
  apply(document.table(), settings, faults);
  check_together(document.table(), settings, faults);
  if (faults.any()) return Error{ErrorKind::invalid, faults.text()};
  derive(settings);
  settings.in_force = in_force(document.table());
  return settings;
}

Result<Settings> load_settings(const std::filesystem::path& path) {
  const Result<std::string> text = config::read_settings_file(path);
  if (!text) return text.error();
  return parse_settings(*text, path.string());
}

Settings default_settings() { return parse_settings("", "defaults").value(); }

}  // namespace berth
