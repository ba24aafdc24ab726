#include "base/notify.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace berth {
namespace {

constexpr int kFirstListenSocket = 3;  // SD_LISTEN_FDS_START
constexpr std::int64_t kMostListenSockets = 64;

std::optional<std::int64_t> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  std::int64_t value = 0;
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0) return std::nullopt;
  return value;
}

}  // namespace

bool notify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  const std::size_t length = path == nullptr ? 0 : std::strlen(path);
  if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket; its name has no terminator
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return false;
  const auto address_length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  const ssize_t sent = ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                                address_length);
  return sent == static_cast<ssize_t>(state.size());
}

bool notify_status(std::string_view text) {
  std::string line = "STATUS=";
  for (const char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return notify(line);
}

std::optional<std::chrono::microseconds> watchdog_interval() {
  const auto limit = number_in("WATCHDOG_USEC");
  const auto pid = number_in("WATCHDOG_PID");
  if (!limit || *limit < 2 || (pid && *pid != ::getpid())) return std::nullopt;
  return std::chrono::microseconds(*limit / 2);
}

std::vector<FileDescriptor> take_listen_sockets() {
  std::vector<FileDescriptor> sockets;
  const auto pid = number_in("LISTEN_PID");
  const auto count = number_in("LISTEN_FDS");
  if (pid && count && *pid == ::getpid()) {
    const int last = kFirstListenSocket + static_cast<int>(std::min(*count, kMostListenSockets));
    for (int fd = kFirstListenSocket; fd < last; ++fd) {
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) sockets.emplace_back(fd);
    }
  }
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return sockets;
}

}  // namespace berth
