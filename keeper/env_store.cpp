#include "keeper/env_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/encoding.hpp"
#include "base/human.hpp"
#include "keeper/env_files.hpp"
#include "workspaces/keeper_protocol.hpp"

namespace berth::keeper {
namespace fs = std::filesystem;

bool is_environment_id(std::string_view id) { return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

std::string environment_id(std::string_view lock) { return hex_encode(sha256(lock)).substr(0, 32); }

std::string prefix_below(std::string_view owner, const std::string& id) { return owner == kTeam ? std::string(kTeam) + "/" + id : id; }

std::string prefix_inside(std::string_view owner, const std::string& id) { return std::string(kEnvironmentsInside) + "/" + prefix_below(owner, id); }

Result<void> EnvStore::prepare() {
  std::error_code error;
  fs::create_directories(root_.parent_path(), error);
  // Nobody but root comes in from the host; what a workspace sees begins below, by its mount.
  for (const fs::path& folder : {root_, root_ / "objects", root_ / "users", root_ / "builders", root_ / "requests", root_ / "trash"}) {
    if (auto made = make_folder(folder, 0700); made.has_error()) return made;
  }
  ::unlink((root_ / "objects/.unfinished").c_str());
  for (const std::string& user : names_of(root_ / "users")) {
    for (const std::string& name : names_of(owner_folder(user))) {
      if (name.starts_with(kNew)) put_aside(owner_folder(user) / name);
    }
  }
  for (const std::string& user : names_of(root_ / "builders")) end_build(user);
  return {};
}

Result<fs::path> EnvStore::ensure_owner(const std::string& owner) {
  const fs::path folder = owner_folder(owner);
  struct stat info{};
  const bool known = ::lstat((folder / "now").c_str(), &info) == 0;
  if (known && (owner == kTeam || ::lstat((folder / kTeam).c_str(), &info) == 0)) return folder;
  if (auto made = make_folder(folder, 0755); made.has_error()) return made.error();
  // Where the team's are mounted.
  if (owner != kTeam) {
    if (auto made = make_folder(folder / kTeam, 0755); made.has_error()) return made.error();
  }
  if (known) return folder;
  for (const char* name : {"current", "jupyter"}) {
    if (auto made = flip(folder / name, std::string("now/") + name); made.has_error()) return made.error();
  }
  if (auto applied = apply(owner, {}); applied.has_error()) return applied.error();
  return folder;
}

Result<SealedEnvironment> EnvStore::find(const std::string& owner, const std::string& id) const {
  const Error missing{ErrorKind::not_found, "there is no such environment on this machine"};
  struct stat info{};
  if (::lstat(prefix(owner, id).c_str(), &info) < 0 || !S_ISDIR(info.st_mode)) return missing;
  std::ifstream file(owner_folder(owner) / (std::string(kMeta) + id));
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object()) return missing;
  return SealedEnvironment{json.value("lock_hash", ""), json.value("tree_hash", ""), json.value("bytes", std::uint64_t{0}), json.value("files", std::uint64_t{0})};
}

Result<EnvStore::Build> EnvStore::begin_build(const std::string& user, Account owner, const std::map<std::string, std::string>& files) {
  end_build(user);
  const Build build{root_ / "builders" / user, root_ / "requests" / user};
  if (auto made = make_folder(build.folder, 0700, owner); made.has_error()) return made.error();
  if (auto made = make_folder(build.request, 0755); made.has_error()) return made.error();
  for (const auto& [name, content] : files) {
    if (auto written = write_file(build.request / name, content); written.has_error()) return written.error();
  }
  return build;
}

void EnvStore::end_build(const std::string& user) {
  for (const std::string& name : names_of(root_ / "builders" / user)) {
    if (name != "archives" && name != "repodata") put_aside(root_ / "builders" / user / name);
  }
  erase(root_ / "requests" / user);
}

// A rename: deleting many files takes long, and nobody should wait for it.
void EnvStore::put_aside(const fs::path& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const fs::path place = root_ / "trash" / std::to_string(++put_aside_);
    struct stat info{};
    if (::lstat(place.c_str(), &info) == 0) continue;
    if (::rename(path.c_str(), place.c_str()) == 0 || errno == ENOENT) return;
    break;
  }
  erase(path);
}

void EnvStore::empty_trash() {
  for (const std::string& name : names_of(root_ / "trash")) erase(root_ / "trash" / name);
}

bool EnvStore::is_plain(const std::string& user, const std::string& owner, const std::string& id) const {
  const FileDescriptor folder(::open((root_ / "builders" / user).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return false;
  return owner == kTeam ? static_cast<bool>(open_below(folder.get(), {"team", id.c_str()})) : static_cast<bool>(open_below(folder.get(), {id.c_str()}));
}

Result<SealedEnvironment> EnvStore::seal(const Seal& what, const TreeRules& rules) {
  if (auto made = ensure_owner(what.owner); made.has_error()) return made.error();
  const fs::path fresh = owner_folder(what.owner) / (std::string(kNew) + what.id);
  put_aside(fresh);
  const auto tree = seal_tree(root_ / "builders" / what.user / prefix_below(what.owner, what.id), rules, root_ / "objects", fresh);
  if (tree.has_error()) {
    put_aside(fresh);
    return tree.error();
  }
  const std::uint64_t total = count(what.owner, fresh.filename());
  if (what.quota > 0 && total > what.quota) {
    put_aside(fresh);
    return Error{ErrorKind::too_large, "with this environment " + std::string(what.owner == kTeam ? "the team's would" : "yours would") + " take " + human_bytes(total) +
                                           " of disk, and " + human_bytes(what.quota) + " are allowed; remove one, or ask your administrator"};
  }
  SealedEnvironment sealed{what.lock_hash, tree->hash(), tree->bytes, tree->files};
  const nlohmann::json meta = {{"lock_hash", sealed.lock_hash}, {"tree_hash", sealed.tree_hash}, {"bytes", sealed.bytes}, {"files", sealed.files}};
  if (auto written = write_file(owner_folder(what.owner) / (std::string(kMeta) + what.id), meta.dump()); written.has_error()) {
    put_aside(fresh);
    return written.error();
  }
  if (::rename(fresh.c_str(), prefix(what.owner, what.id).c_str()) < 0) return errno_error("publishing the environment", errno);
  const std::lock_guard lock(used_mutex_);
  used_[what.owner] = total;
  return sealed;
}

Result<std::pair<Tree, Tree>> EnvStore::read_both(const std::string& user, const std::string& owner, const std::string& id, const TreeRules& rules) {
  TreeRules ours = rules;
  ours.first_owner = ::geteuid();
  ours.owners = 1;
  auto sealed = read_tree(prefix(owner, id), ours);
  if (sealed.has_error()) return sealed.error();
  auto built = read_tree(root_ / "builders" / user / prefix_below(owner, id), rules);
  if (built.has_error()) return built.error();
  return std::pair(std::move(*sealed), std::move(*built));
}

std::uint64_t EnvStore::count(const std::string& owner, const std::string& besides) const {
  std::set<ino_t> seen;
  std::uint64_t sum = 0;
  for (const std::string& name : names_of(owner_folder(owner))) {
    if (!is_environment_id(name) && name != besides) continue;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(owner_folder(owner) / name, error), end; !error && entry != end; entry.increment(error)) {
      struct stat info{};
      if (::lstat(entry->path().c_str(), &info) < 0) continue;
      if (S_ISDIR(info.st_mode) || info.st_nlink <= 1 || seen.insert(info.st_ino).second) sum += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  return sum;
}

std::uint64_t EnvStore::used(const std::string& owner) {
  {
    const std::lock_guard lock(used_mutex_);
    if (const auto known = used_.find(owner); known != used_.end()) return known->second;
  }
  const std::uint64_t bytes = count(owner, "");
  const std::lock_guard lock(used_mutex_);
  return used_[owner] = bytes;
}

std::uint64_t EnvStore::missing_bytes(const std::string& owner, const nlohmann::json& lock) const {
  std::uint64_t sum = 0;
  const auto packages = lock.is_object() ? lock.find("packages") : lock.end();
  if (packages == lock.end() || !packages->is_array()) return 0;
  std::vector<fs::path> records;
  for (const std::string& name : names_of(owner_folder(owner))) {
    if (is_environment_id(name)) records.push_back(prefix(owner, name) / "conda-meta");
  }
  for (const nlohmann::json& package : *packages) {
    const std::string stem = workspaces::text_of(package, "name") + "-" + workspaces::text_of(package, "version") + "-" + workspaces::text_of(package, "build");
    if (stem.find('/') != std::string::npos) continue;
    struct stat info{};
    const bool here = std::any_of(records.begin(), records.end(), [&](const fs::path& folder) { return ::lstat((folder / (stem + ".json")).c_str(), &info) == 0; });
    // Sizes come from the channel: one that is no size counts for nothing.
    if (const std::int64_t size = workspaces::number_of(package, "size"); !here && size > 0 && size < (std::int64_t{1} << 45)) sum += static_cast<std::uint64_t>(size);
  }
  return sum;
}

EnvStore::Collected EnvStore::collect(const std::string& owner, const std::set<std::string>& keep, std::optional<Timestamp> oldest_start) {
  Collected done;
  for (const std::string& name : names_of(owner_folder(owner))) {
    if (!is_environment_id(name)) continue;
    const fs::path retired = owner_folder(owner) / (std::string(kRetired) + name);
    if (keep.contains(name)) {
      ::unlink(retired.c_str());
      continue;
    }
    struct stat info{};
    if (::lstat(retired.c_str(), &info) < 0) {
      (void)write_file(retired, "");
      if (::lstat(retired.c_str(), &info) < 0) continue;  // the disk is full: another time
    }
    const Timestamp since{std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::duration_cast<Timestamp::duration>(std::chrono::nanoseconds(info.st_mtim.tv_nsec))};
    if (oldest_start && *oldest_start <= since) {
      ++done.waiting;
      continue;
    }
    put_aside(prefix(owner, name));
    ::unlink((owner_folder(owner) / (std::string(kMeta) + name)).c_str());
    ::unlink(retired.c_str());
    ++done.removed;
  }
  const std::lock_guard lock(used_mutex_);
  if (done.removed > 0) used_.erase(owner);
  return done;
}

}  // namespace berth::keeper
