// The table of settings: what a row is. Used by config/settings*.cpp only.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "config/toml.hpp"

namespace berth::config {

struct Limits {
  std::int64_t min = 0, max = INT64_MAX;              // of numbers, and of durations in seconds
  std::span<const std::string_view> choices = {};     // of texts and of list entries; empty: any
};

// Takes the value out of `node`. Answers what is wrong with it, or "".
using ReadField = std::string (*)(Settings& into, const toml::node& node, const Limits& limits);

struct SettingsKey {
  std::string_view section, name;
  ReadField read;
  std::string_view default_text;  // TOML
  std::string_view comment;       // lines without "# "
  Limits limits = {};
};

struct SettingsSection {
  std::string_view name, comment;
};

std::span<const SettingsSection> settings_sections();
std::span<const SettingsKey> settings_keys();

// One for each type that a field of Settings has.
std::string read_value(std::string& into, const toml::node& node, const Limits& limits);
std::string read_value(bool& into, const toml::node& node, const Limits& limits);
std::string read_value(std::int64_t& into, const toml::node& node, const Limits& limits);
std::string read_value(std::chrono::seconds& into, const toml::node& node, const Limits& limits);
std::string read_value(std::filesystem::path& into, const toml::node& node, const Limits& limits);
std::string read_value(std::vector<std::string>& into, const toml::node& node, const Limits& limits);
std::string read_value(std::vector<IpNetwork>& into, const toml::node& node, const Limits& limits);
std::string read_value(Startups& into, const toml::node& node, const Limits& limits);
std::string read_value(std::vector<ListenAddress>& into, const toml::node& node, const Limits& limits);

}  // namespace berth::config
