// The settings of berth-keeper: one TOML file of its own, since it decides what berthd may ask for.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::keeper {

enum class EngineKind { podman, process };

struct Settings {
  std::filesystem::path socket = "/run/berth/keeper.sock";
  std::string allowed_user = "berth";  // a name or a number: who may connect (and root)
  std::string instance = "main";       // several Berths on one machine: [a-z0-9]{1,16} each
  EngineKind engine = EngineKind::podman;
  std::string log_level = "info";
  std::filesystem::path homes = "/var/lib/berth/homes";
  std::filesystem::path agent = "/usr/libexec/berth/berth-agent";
  std::filesystem::path agent_sockets = "/run/berth/agents";

  struct Podman {
    std::filesystem::path socket = "/run/podman/podman.sock";
    std::string image = "localhost/berth/default:latest";
    std::vector<std::string> images;  // further ones that may be asked for, by reference
    std::string pull = "never";       // "missing": from their registry when they are not here
    std::string network = "bridge";   // or "none"
    std::string interface_prefix = "bw";
    std::string firewall = "nft";  // or "off"
    std::vector<std::string> blocked_networks = {"169.254.0.0/16"};
    std::int64_t uid_start = 0x70000000;  // above what Debian, systemd and Podman give out
    std::int64_t uid_count = 4096;        // ranges of 65536, one a user
  } podman;

  struct Limits {
    std::int64_t memory = 8LL << 30;  // bytes
    double cpus = 4;
    std::int64_t pids = 4096;
    std::int64_t shm = 1LL << 30;
    std::int64_t tmp = 2LL << 30;
    std::int64_t stop_seconds = 10;
  } limits;

  // Conda environments (docs/environments.md). Offered when `builder` holds the builder and the engine is Podman.
  struct Environments {
    std::filesystem::path store = "/var/lib/berth/environments";
    std::filesystem::path builder = "/usr/libexec/berth/environments";
    std::string image;                         // of builds; empty: podman.image
    std::filesystem::path condarc;             // the site's channels; empty: conda's defaults
    std::filesystem::path credentials;         // rattler's credentials file; users' code never sees it
    std::filesystem::path pip_conf;
    std::vector<std::string> channel_folders;  // mounted read-only into builds, at the same path
    std::vector<std::string> virtual_packages; // "__cuda=12.4"
    std::int64_t memory = 4LL << 30;           // bytes, of one build
    std::int64_t disk = 30LL << 30;            // of one build
    std::int64_t cache = 8LL << 30;            // of one user's downloads
    std::chrono::seconds time{3600};           // of one step of a build
    std::int64_t at_once = 2;                  // builds
    std::int64_t quota = 0, team_quota = 0;    // bytes of one user's installed environments, of the team's; 0: no limit
  } environments;
  std::map<std::string, std::int64_t> quotas;  // of single users, instead of environments.quota
  std::int64_t quota_of(const std::string& owner) const;  // "team": the team's

  // What users may choose from besides podman.image, which is called "default".
  struct Image {
    std::string image, description;
  };
  std::map<std::string, Image> images;

  std::map<std::string, std::string> env;

  struct Process {
    std::string user;  // whom the process engine runs agents as when the keeper is root
  } process;

  // The reference behind what may be asked for: "" and "default", a name of `images`, or a reference that is allowed; empty: it is not.
  std::string resolve_image(std::string_view wanted) const;
};

inline constexpr std::uint32_t kRangeSize = 65536;
inline constexpr uid_t kInsideUid = 1000;  // the workspace's user, inside

// Reads and checks a file. The Error's message has one line a fault: "FILE:LINE: what is wrong".
Result<Settings> load_settings(const std::filesystem::path& path);
Result<Settings> parse_settings(std::string_view text, std::string_view file);

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
};
// A user name or number, looked up on this machine.
Result<Account> find_account(const std::string& name);

}  // namespace berth::keeper
