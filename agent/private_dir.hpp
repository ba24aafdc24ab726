// A directory with mode 0700 that belongs to one forward of one SSH session: its socket, its X11 cookie. Removed with all that is in it.
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::agent {

class PrivateDirectory {
 public:
  // Under $XDG_RUNTIME_DIR when that is the user's own, else under /tmp.
  static Result<PrivateDirectory> make();
  PrivateDirectory(PrivateDirectory&& other) noexcept;
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory();

  const std::string& path() const { return path_; }
  // A new file with mode 0600.
  Result<void> write(std::string_view name, std::string_view text) const;
  // 1 to 32 of letters, digits, '_' and '-'.
  static bool valid_name(std::string_view name);

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Where sockets may be made for this user: $XDG_RUNTIME_DIR when it is theirs and short, else "/tmp".
std::string runtime_directory();

}  // namespace berth::agent
