// The store of conda environments on disk, all of it root's (docs/environments.md):
//   objects/ab/cdef…        each content once; every environment's files are hard links to these
//   users/OWNER/ID/         a sealed prefix; users/USER is mounted read-only at /opt/berth/envs in USER's workspaces, and users/team, which
//                           is everybody's, at /opt/berth/envs/team in all
//   users/OWNER/now         -> .state-N: which revision each name means; one rename makes another state current
//   builders/USER/          where USER's builds write (theirs): downloads, and the prefix that is being built
//   requests/USER/          what a build is to do
// Blocking calls say so.
#pragma once
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "keeper/homes.hpp"
#include "keeper/tree.hpp"

namespace berth::keeper {

inline constexpr std::string_view kEnvironmentsInside = "/opt/berth/envs";
// The owner of what everybody may use; no user is called so.
inline constexpr std::string_view kTeam = "team";

// Where an owner's environments lie in workspaces and builds; and there, below kEnvironmentsInside.
std::string prefix_inside(std::string_view owner, const std::string& id);
std::string prefix_below(std::string_view owner, const std::string& id);

// 32 hexadecimal digits: the beginning of the lock's SHA-256.
bool is_environment_id(std::string_view id);
std::string environment_id(std::string_view lock);

struct EnvironmentState {
  struct Item {
    std::string name;  // checked: a workspace's name would do
    std::int64_t revision = 0;
    std::string id;
    std::string prefix;  // prefix_inside() of it
    std::map<std::string, std::string> variables;
  };
  std::vector<Item> items;
  std::string default_name;  // empty: none
  bool team_default = false; // it is one of the team's
};

struct SealedEnvironment {
  std::string lock_hash, tree_hash;
  std::uint64_t bytes = 0, files = 0;
};

class EnvStore {
 public:
  explicit EnvStore(std::filesystem::path root) : root_(std::move(root)) {}
  // Makes the folders and puts aside what a killed keeper left: half-built and half-sealed prefixes.
  Result<void> prepare();
  // What is mounted into workspaces; with an empty state at first.
  Result<std::filesystem::path> ensure_owner(const std::string& owner);
  std::filesystem::path owner_folder(const std::string& owner) const { return root_ / "users" / owner; }
  std::filesystem::path prefix(const std::string& owner, const std::string& id) const { return owner_folder(owner) / id; }
  // What was written down when it was sealed. Error{not_found} when there is none.
  Result<SealedEnvironment> find(const std::string& owner, const std::string& id) const;
  // Bytes on disk of all that is sealed for an owner, each content once. Counted when it has changed: blocking then.
  std::uint64_t used(const std::string& owner);
  // The archive sizes of the packages in a lock that none of the owner's environments has: it needs at least so much more. Blocking.
  std::uint64_t missing_bytes(const std::string& owner, const nlohmann::json& lock) const;

  struct Build {
    std::filesystem::path folder, request;  // mounted writable, and read-only
  };
  // Fresh places for a build of `user`, whose files are `owner`'s. Nothing of an earlier build is left but its downloads. Blocking.
  Result<Build> begin_build(const std::string& user, Account owner, const std::map<std::string, std::string>& files);
  // Puts aside everything of it but the downloads.
  void end_build(const std::string& user);
  // Is the prefix that `user` has built a folder, and none of what leads to it a link?
  bool is_plain(const std::string& user, const std::string& owner, const std::string& id) const;
  // Looks through what `user` has built and makes it the owner's environment `id`, whole or not at all. Error{too_large} when the owner
  // would then use more than `quota` bytes (0: no limit). Blocking.
  struct Seal {
    std::string user, owner, id, lock_hash;
    std::uint64_t quota = 0;
  };
  Result<SealedEnvironment> seal(const Seal& what, const TreeRules& rules);
  // Reads the sealed one and what was built beside it. Blocking.
  Result<std::pair<Tree, Tree>> read_both(const std::string& user, const std::string& owner, const std::string& id, const TreeRules& rules);

  // One atomic step: from then on new shells and kernels see this. Error{not_found} when an item's prefix is not there.
  Result<void> apply(const std::string& owner, const EnvironmentState& state);
  // Puts aside the owner's prefixes that are not in `keep` and that nothing can use any more: since they are not wanted, every workspace that
  // sees them has been started anew (`oldest_start`: the one that runs longest; nullopt: none runs).
  struct Collected {
    std::size_t removed = 0, waiting = 0;
  };
  Collected collect(const std::string& owner, const std::set<std::string>& keep, std::optional<Timestamp> oldest_start);
  // Deletes what was put aside. Blocking, for long; may run beside anything.
  void empty_trash();
  // Deletes the contents that no environment has. Blocking; never beside seal().
  std::uint64_t sweep() { return sweep_objects(root_ / "objects"); }

 private:
  Result<void> write_state(const std::filesystem::path& folder, const std::string& owner, const EnvironmentState& state);
  std::uint64_t count(const std::string& owner, const std::string& besides) const;
  void put_aside(const std::filesystem::path& path);
  std::filesystem::path root_;
  std::atomic<std::uint64_t> put_aside_{0};
  std::mutex used_mutex_;
  std::map<std::string, std::uint64_t> used_;  // what has not changed since it was counted
};

}  // namespace berth::keeper
