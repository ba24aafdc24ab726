// The settings of berthd: one TOML file. Every key, its default and its meaning stand in one table (config/settings.cpp), from which the
// defaults, the checks and config/berth.example.toml come.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_network.hpp"
#include "base/result.hpp"

namespace berth {

// An address to listen on: an IP literal and a port (0: the kernel chooses, for tests).
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const ListenAddress&) const = default;
};
// "203.0.113.7:2222" or "[2001:db8::7]:2222".
Result<ListenAddress> parse_listen_address(std::string_view text);
std::string format_listen_address(const ListenAddress& address);

// As MaxStartups of sshd_config(5): from `start` connections that have not logged in, new ones are dropped with a chance of `rate` percent, which
// grows to 100 at `full`.
struct Startups {
  int start = 0, rate = 0, full = 0;
};

// One key as it holds now, in TOML. `given`: the file has it (perhaps with the value that is the default too).
struct SettingInForce {
  std::string section, name, value, default_value, comment;
  bool given = false;
};

// A fresh Settings{} is empty: take one from load_settings or default_settings. Paths and names that are empty in the file because they are
// derived ("empty: …" in the example) are already filled in here.
struct Settings {
  struct Server {
    std::filesystem::path state_dir, run_dir;
    std::int64_t lanes = 0;  // as given; 0: one per core
    std::chrono::seconds drain{};
    std::chrono::seconds upgrade_drain{};  // of a berthd that was replaced
    std::string log_level;
  } server;

  struct Ssh {
    std::vector<ListenAddress> listen;
    std::string public_host;            // as users type it; derived: the machine's host name
    std::int64_t public_port = 0;       // derived: the port of the first listen address
    std::chrono::seconds login_grace{}, keepalive_interval{};
    std::chrono::seconds rekey_after{};  // 0: never
    std::int64_t rekey_bytes = 0;        // 0: as many as the cipher bears
    std::int64_t keepalive_limit = 0, max_auth_tries = 0, max_connections_per_user = 0, max_sessions_per_user = 0, max_channels = 0;
    std::vector<std::string> host_key_types;
    std::vector<std::string> env_allow;  // names; a final '*' matches any rest
    std::vector<std::string> forwards;   // of "local", "remote", "unix", "agent", "x11"
    std::vector<std::string> permit_open, permit_listen;  // "HOST:PORT", or only "any" or "none"
    bool compression = false;
    std::chrono::seconds keep_terminals{}, keep_terminals_most{};  // after their connection was lost
    std::string banner, message_of_the_day;
    bool show_state = true;
    Startups max_startups;
    std::int64_t tries_slow_after = 0, tries_refuse_after = 0;  // failed logins of one address in tries_within
    std::chrono::seconds tries_within{};
    std::vector<IpNetwork> tries_exempt, proxy_protocol_from;
  } ssh;

  struct Web {
    std::vector<ListenAddress> listen;
    std::int64_t workspace_port_offset = 0;
    std::filesystem::path certificate, private_key;  // both empty: a self-signed one is made in state_dir
    std::chrono::seconds session_lifetime{};
    std::filesystem::path ui_dir;
    std::string public_url;            // "https://box.example:8443", no final slash; derived
    bool public_url_given = false;     // else browsers may reach the portal by any name of the machine
    std::string workspace_public_url;  // the other origin; derived from public_url and workspace_port_offset
    std::string wildcard_domain;       // "apps.box.example" or with ":PORT"; empty: all workspaces share one origin
    bool watch_terminals = false;      // administrators may look at users' terminals
  } web;

  struct Admin {
    std::filesystem::path socket;  // derived: run_dir/admin.sock
    std::string socket_group;      // empty: the group of berthd
  } admin;

  struct Keeper {
    std::filesystem::path socket;  // derived: run_dir/keeper.sock
  } keeper;

  struct Workspaces {
    std::filesystem::path agent_socket_root;  // derived: run_dir/agents
  } workspaces;

  struct Audit {
    std::chrono::seconds keep{};  // 0: for ever
    std::string copy_to;          // "none", "journald", "syslog"
  } audit;

  struct Certificates {
    std::chrono::seconds lifetime{};  // 0: users cannot ask for certificates
  } certificates;

  struct Environments {
    std::string sharing;                  // who may make an environment the team's: "users", "admins"
    std::chrono::seconds verify_every{};  // 0: never by itself
  } environments;

  struct Keys {
    std::vector<std::string> allowed_types;
    std::int64_t min_rsa_bits = 0;
    std::chrono::seconds max_age{};      // from when a key was added; 0: keys may live for ever
    std::chrono::seconds warn_before{};  // how long before its end the user of a key is told; 0: never
    std::chrono::seconds grace{};        // how long a replaced key goes on working
    std::int64_t max_per_user = 0;       // keys that work and are not superseded; 0: any number
    bool require_hardware = false, require_touch = true;
    std::vector<std::string> self_service;  // of "list", "add", "rotate", "remove"
  } keys;

  std::vector<SettingInForce> in_force;  // every key, in the order of the table; derived ones as they are in the file
};

// Reads and checks `path`. The Error's message has one line for every fault in the file, "FILE:LINE: what is wrong", not only for the first.
Result<Settings> load_settings(const std::filesystem::path& path);
// The same from text; `file` is the name to print.
Result<Settings> parse_settings(std::string_view text, std::string_view file);
Settings default_settings();
// What config/berth.example.toml holds: every key with its default and a comment.
std::string example_toml();

// Does `name` match one of `patterns` (a final '*' matches any rest)?
bool matches_any(std::string_view name, const std::vector<std::string>& patterns);

}  // namespace berth
