// Users' homes and the ranges of user ids that their workspaces live in. Nothing else records a range: it is read back
// from the owner of the home on disk, so it cannot be lost or disagree.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "keeper/settings.hpp"

namespace berth::keeper {

// The first host id of the user's range; inside, id N is base + N.
using RangeBase = uid_t;

// Which range a home of this owner has; none when the owner is not `inside user of a range`.
std::optional<RangeBase> range_of_owner(uid_t owner, std::int64_t start, std::int64_t count);
// The first range that no home has.
Result<RangeBase> next_free_range(const std::vector<uid_t>& owners, std::int64_t start, std::int64_t count);

struct Home {
  std::filesystem::path path;
  RangeBase base = 0;  // 0 with a fixed owner
  bool fresh = false;  // made just now
};

class Homes {
 public:
  // With a fixed owner (process engine) all homes belong to it and there are no ranges.
  Homes(std::filesystem::path root, std::int64_t range_start, std::int64_t range_count, std::optional<Account> fixed_owner);
  // Makes the folder of homes, and finishes what a killed keeper left half made or half removed.
  Result<void> prepare();
  // Finds or makes the home of `user` (a checked name). A home appears whole or not at all.
  Result<Home> ensure(const std::string& user);
  // Out of sight at once; answers the place where its content waits for erase(), empty when there was none.
  Result<std::filesystem::path> detach(const std::string& user);
  // May take long for a large home: run it off the main thread.
  static void erase(const std::filesystem::path& detached);

 private:
  Result<Home> make(const std::string& user, const std::filesystem::path& path);
  Result<std::vector<uid_t>> owners() const;

  std::filesystem::path root_;
  std::int64_t range_start_, range_count_;
  std::optional<Account> fixed_owner_;
};

// Makes <root>/<user>/<workspace>, where berthd listens for the agent: root's down to the last folder, which is berthd's and
// readable by all. Since only we can put something there, what is mounted is never a symlink of berthd's choice.
Result<std::filesystem::path> ensure_agent_directory(const std::filesystem::path& root, const std::string& user,
                                                     const std::string& workspace, Account berthd);

}  // namespace berth::keeper
