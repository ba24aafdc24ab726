// Trees of files that a user's code has written: looked through without trust, hashed, and copied into the store, where each content is
// kept once. Blocking; run it off the main thread.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::keeper {

struct Tree {
  // Path in the tree to "f SHA256", "x SHA256" (executable) or "l TARGET". Python's bytecode is not among them: it is derived.
  std::map<std::string, std::string> entries;
  std::uint64_t files = 0, bytes = 0;  // bytecode included
  // SHA-256 over "<entry>\0<path>\0" in the order of the paths' bytes; the builder's tree.py computes the same.
  std::string hash() const;
};

struct TreeRules {
  std::string inside;            // absolute symlinks may point below this path only
  uid_t first_owner = 0, owners = 1;  // files must belong to this range of user ids
  std::uint64_t max_bytes = 0, max_files = 2'000'000;
};

struct TreeDrift {
  std::vector<std::string> changed, missing, added;  // at most 200 of each
  bool none() const { return changed.empty() && missing.empty() && added.empty(); }
};

// Reads the tree at `path`. Error{denied}: a device, a socket, a set-user-id file, a foreign owner, a symlink that leaves the tree.
// Error{too_large}: more bytes or files than the rules allow.
Result<Tree> read_tree(const std::filesystem::path& path, const TreeRules& rules);
// The same, and makes the tree anew at `to` (which must not exist): files are hard links to `objects`, owned by us, read-only, with one
// fixed time.
Result<Tree> seal_tree(const std::filesystem::path& path, const TreeRules& rules, const std::filesystem::path& objects, const std::filesystem::path& to);
TreeDrift compare(const Tree& expected, const Tree& found);
// Bytes on disk below `path`, of files that belong to no one but the tree; stops counting at `enough`.
std::uint64_t disk_use(const std::filesystem::path& path, std::uint64_t enough);
// Removes the objects that no tree has any more; answers their bytes.
std::uint64_t sweep_objects(const std::filesystem::path& objects);

}  // namespace berth::keeper
