#include "agent/private_dir.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/handles.hpp"

namespace berth::agent {

std::string runtime_directory() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  struct stat found{};
  const bool usable = runtime && runtime[0] == '/' && std::strlen(runtime) < 48 && ::stat(runtime, &found) == 0 && S_ISDIR(found.st_mode) &&
                      found.st_uid == ::getuid() && ::access(runtime, W_OK | X_OK) == 0;
  return usable ? runtime : "/tmp";
}

bool PrivateDirectory::valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Result<PrivateDirectory> PrivateDirectory::make() {
  std::string path = runtime_directory() + "/berth-ssh-XXXXXX";
  if (!::mkdtemp(path.data())) return errno_error(path, errno);
  return PrivateDirectory(std::move(path));
}

PrivateDirectory::PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}

// One level only: nothing that the user put there in the meantime is followed.
PrivateDirectory::~PrivateDirectory() {
  if (path_.empty()) return;
  const int fd = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(fd), ::closedir);
  if (!listing) {
    ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(listing.get())) ::unlinkat(fd, entry->d_name, 0);
  ::rmdir(path_.c_str());
}

Result<void> PrivateDirectory::write(std::string_view name, std::string_view text) const {
  const std::string path = path_ + "/" + std::string(name);
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno_error(path, errno);
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) return errno_error(path, written < 0 ? errno : ENOSPC);
  return {};
}

}  // namespace berth::agent
