// The store of conda environments on disk, all of it root's (docs/environments.md):
//   objects/ab/cdef…        each content once; every environment's files are hard links to these
//   users/USER/ID/          a sealed prefix; users/USER is mounted read-only at /opt/berth/envs in USER's workspaces
//   users/USER/now          -> .state-N: which revision each name means; one rename makes another state current
//   builders/USER/          where USER's builds write (theirs): downloads, and the prefix that is being built
//   requests/USER/          what a build is to do
// Blocking calls say so.
#pragma once
#include <atomic>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "keeper/homes.hpp"
#include "keeper/tree.hpp"

namespace berth::keeper {

inline constexpr std::string_view kEnvironmentsInside = "/opt/berth/envs";

// 32 hexadecimal digits: the beginning of the lock's SHA-256.
bool is_environment_id(std::string_view id);
std::string environment_id(std::string_view lock);

struct EnvironmentState {
  struct Item {
    std::string name;  // checked: a workspace's name would do
    std::int64_t revision = 0;
    std::string id;
    std::map<std::string, std::string> variables;
  };
  std::vector<Item> items;
  std::string default_name;  // empty: none
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
  // What is mounted into the user's workspaces; with an empty state at first.
  Result<std::filesystem::path> ensure_user(const std::string& user);
  std::filesystem::path user_folder(const std::string& user) const { return root_ / "users" / user; }
  std::filesystem::path prefix(const std::string& user, const std::string& id) const { return user_folder(user) / id; }
  // What was written down when it was sealed. Error{not_found} when there is none.
  Result<SealedEnvironment> find(const std::string& user, const std::string& id) const;

  struct Build {
    std::filesystem::path folder, request;  // mounted writable, and read-only
  };
  // Fresh places for a build of `user`, whose files are `owner`'s. Nothing of an earlier build is left but its downloads. Blocking.
  Result<Build> begin_build(const std::string& user, Account owner, const std::map<std::string, std::string>& files);
  // Puts aside everything of it but the downloads.
  void end_build(const std::string& user);
  // Looks through what was built and makes it the user's environment `id`, whole or not at all. Blocking.
  Result<SealedEnvironment> seal(const std::string& user, const std::string& id, const std::string& lock_hash, const TreeRules& rules);
  // Reads the sealed one and what was built beside it. Blocking.
  Result<std::pair<Tree, Tree>> read_both(const std::string& user, const std::string& id, const TreeRules& rules);

  // One atomic step: from then on new shells and kernels see this. Error{not_found} when an item's prefix is not there.
  Result<void> apply(const std::string& user, const EnvironmentState& state);
  // Puts aside the user's prefixes that are not in `keep`; answers how many.
  std::size_t collect(const std::string& user, const std::set<std::string>& keep);
  // Deletes what was put aside. Blocking, for long; may run beside anything.
  void empty_trash();
  // Deletes the contents that no environment has. Blocking; never beside seal().
  std::uint64_t sweep() { return sweep_objects(root_ / "objects"); }

 private:
  Result<void> write_state(const std::filesystem::path& folder, const std::string& user, const EnvironmentState& state);
  void put_aside(const std::filesystem::path& path);
  std::filesystem::path root_;
  std::atomic<std::uint64_t> put_aside_{0};
};

}  // namespace berth::keeper
