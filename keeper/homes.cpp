#include "keeper/homes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/handles.hpp"
#include "base/log.hpp"

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kNew = ".new-", kDeleted = ".deleted-";

// Opens a folder without following a symlink in its last part.
FileDescriptor open_folder(int at, const std::string& name) {
  return FileDescriptor(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Finds or makes one folder under `at`, with this owner and mode.
Result<FileDescriptor> ensure_folder(int at, const std::string& name, mode_t mode, Account owner) {
  if (::mkdirat(at, name.c_str(), 0700) < 0 && errno != EEXIST) return errno_error("making the folder " + name, errno);
  FileDescriptor folder = open_folder(at, name);
  if (!folder) return errno_error("opening the folder " + name, errno);
  struct stat found{};
  if (::fstat(folder.get(), &found) < 0) return errno_error(name, errno);
  if ((found.st_uid != owner.uid || found.st_gid != owner.gid) && ::fchown(folder.get(), owner.uid, owner.gid) < 0) {
    return errno_error("giving the folder " + name + " to its owner", errno);
  }
  if ((found.st_mode & 07777) != mode && ::fchmod(folder.get(), mode) < 0) return errno_error("mode of the folder " + name, errno);
  return folder;
}

}  // namespace

std::optional<RangeBase> range_of_owner(uid_t owner, std::int64_t start, std::int64_t count) {
  const std::int64_t offset = static_cast<std::int64_t>(owner) - kInsideUid - start;
  if (offset < 0 || offset % kRangeSize != 0 || offset / kRangeSize >= count) return std::nullopt;
  return static_cast<RangeBase>(start + offset);
}

Result<RangeBase> next_free_range(const std::vector<uid_t>& owners, std::int64_t start, std::int64_t count) {
  const std::set<uid_t> taken(owners.begin(), owners.end());
  for (std::int64_t i = 0; i < count; ++i) {
    const auto base = static_cast<RangeBase>(start + i * kRangeSize);
    if (!taken.contains(base + kInsideUid)) return base;
  }
  return Error{ErrorKind::unavailable,
               "all " + std::to_string(count) + " ranges of user ids are in use; ask your administrator to raise podman.uid_count"};
}

Homes::Homes(fs::path root, std::int64_t range_start, std::int64_t range_count, std::optional<Account> fixed_owner)
    : root_(std::move(root)), range_start_(range_start), range_count_(range_count), fixed_owner_(fixed_owner) {}

Result<void> Homes::prepare() {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) return errno_error("making " + root_.string(), error.value());
  // Users reach their home by a mount, or as themselves by path: nobody needs to list the others.
  if (::chmod(root_.c_str(), 0711) < 0) return errno_error("mode of " + root_.string(), errno);
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kNew) || name.starts_with(kDeleted)) erase(entry.path());
  }
  return {};
}

Result<std::vector<uid_t>> Homes::owners() const {
  std::vector<uid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    struct stat info{};
    if (::lstat(entry.path().c_str(), &info) == 0) found.push_back(info.st_uid);
  }
  if (error) return errno_error("reading " + root_.string(), error.value());
  return found;
}

Result<Home> Homes::ensure(const std::string& user) {
  const fs::path path = root_ / user;
  struct stat info{};
  if (::lstat(path.c_str(), &info) < 0) {
    if (errno != ENOENT) return errno_error("the home " + path.string(), errno);
    return make(user, path);
  }
  if (!S_ISDIR(info.st_mode)) return Error{ErrorKind::conflict, "your home is not a folder; ask your administrator to look at " + path.string()};
  if (fixed_owner_) return Home{path, 0, false};
  const auto base = range_of_owner(info.st_uid, range_start_, range_count_);
  if (!base) {
    return Error{ErrorKind::conflict, "your home belongs to user id " + std::to_string(info.st_uid) +
                                          ", which is in none of the workspaces' ranges; ask your administrator to look at " + path.string()};
  }
  return Home{path, *base, false};
}

Result<Home> Homes::make(const std::string& user, const fs::path& path) {
  Home home{path, 0, true};
  Account owner;
  if (fixed_owner_) {
    owner = *fixed_owner_;
  } else {
    const auto taken = owners();
    if (taken.has_error()) return taken.error();
    const auto base = next_free_range(*taken, range_start_, range_count_);
    if (base.has_error()) return base.error();
    home.base = *base;
    owner = {*base + kInsideUid, *base + kInsideUid};
  }
  const fs::path unfinished = root_ / (std::string(kNew) + user);
  erase(unfinished);
  if (::mkdir(unfinished.c_str(), 0700) < 0) return errno_error("making your home", errno);
  if (::chown(unfinished.c_str(), owner.uid, owner.gid) < 0) return errno_error("giving you your home", errno);
  if (::rename(unfinished.c_str(), path.c_str()) < 0) return errno_error("making your home", errno);
  return home;
}

Result<fs::path> Homes::detach(const std::string& user) {
  const fs::path path = root_ / user;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    fs::path detached = root_ / (std::string(kDeleted) + user + "." + std::to_string(attempt));
    struct stat info{};
    if (::lstat(detached.c_str(), &info) == 0) continue;
    if (::rename(path.c_str(), detached.c_str()) == 0) return detached;
    if (errno == ENOENT) return fs::path();
    return errno_error("removing the home of " + user, errno);
  }
  return Error{ErrorKind::unavailable, "earlier homes of " + user + " are still being removed; try again later"};
}

void Homes::erase(const fs::path& detached) {
  std::error_code error;
  fs::remove_all(detached, error);
  if (error) log_error("keeper.home_not_erased", {{"path", detached.string()}, {"error", error.message()}});
}

Result<fs::path> ensure_agent_directory(const fs::path& root, const std::string& user, const std::string& workspace, Account berthd) {
  std::error_code error;
  fs::create_directories(root.parent_path(), error);
  const Account self{::geteuid(), ::getegid()};
  auto top = ensure_folder(AT_FDCWD, root, 0711, self);
  if (top.has_error()) return top.error();
  auto middle = ensure_folder(top->get(), user, 0711, self);
  if (middle.has_error()) return middle.error();
  // Readable by all: the agent inside is told by inotify when berthd comes back.
  auto last = ensure_folder(middle->get(), workspace, 0755, berthd);
  if (last.has_error()) return last.error();
  return root / user / workspace;
}

}  // namespace berth::keeper
