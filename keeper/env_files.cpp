#include "keeper/env_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.hpp"

namespace berth::keeper {
namespace fs = std::filesystem;

Result<void> make_folder(const fs::path& path, mode_t mode, std::optional<Account> owner) {
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return errno_error("making " + path.string(), errno);
  const FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return errno_error(path.string(), errno);
  if (owner && ::fchown(folder.get(), owner->uid, owner->gid) < 0) return errno_error("giving away " + path.string(), errno);
  if (::fchmod(folder.get(), mode) < 0) return errno_error("mode of " + path.string(), errno);
  return {};
}

Result<void> write_file(const fs::path& path, std::string_view content, mode_t mode) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno_error("writing " + path.string(), errno);
  while (!content.empty()) {
    const ssize_t count = ::write(file.get(), content.data(), content.size());
    if (count < 0) return errno_error("writing " + path.string(), errno);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fchmod(file.get(), mode) < 0) return errno_error("writing " + path.string(), errno);
  return {};
}

std::vector<std::string> names_of(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path().filename());
  return names;
}

void erase(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) log_error("keeper.not_erased", {{"path", path.string()}, {"error", error.message()}});
}

FileDescriptor open_below(int folder, std::initializer_list<const char*> parts) {
  FileDescriptor at(::dup(folder));
  for (const char* part : parts) at.reset(at ? ::openat(at.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1);
  return at;
}

Result<void> flip(const fs::path& link, const std::string& target) {
  const fs::path fresh = link.parent_path() / (std::string(kNew) + link.filename().string());
  ::unlink(fresh.c_str());
  if (::symlink(target.c_str(), fresh.c_str()) < 0) return errno_error("making " + link.string(), errno);
  if (::rename(fresh.c_str(), link.c_str()) < 0) return errno_error("making " + link.string(), errno);
  return {};
}

}  // namespace berth::keeper
