// Sockets that somebody inside a workspace made or dialled. Others may hold the same open file and change it under our hands, so
// that nothing about it can be relied on:
// - O_NONBLOCK belongs to the open file: every call here passes MSG_DONTWAIT instead;
// - the last close may wait (SO_LINGER), and so may the last close of a descriptor that waits inside (SCM_RIGHTS): they are
//   received, and closed on a thread that does nothing else.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <utility>

#include "base/handles.hpp"

namespace berth::tunnels {

// Never waits. For whatever came from a workspace, and for sockets on which it may have sent descriptors.
void close_elsewhere(FileDescriptor descriptor);

// Owns one such socket until it is handed on.
class WorkspaceSocket {
 public:
  WorkspaceSocket() = default;
  WorkspaceSocket(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}  // NOLINT(google-explicit-constructor): one is as good as the other
  WorkspaceSocket(WorkspaceSocket&&) = default;
  WorkspaceSocket& operator=(WorkspaceSocket&& other) noexcept {
    if (this != &other) close_elsewhere(std::exchange(descriptor_, std::move(other.descriptor_)));
    return *this;
  }
  ~WorkspaceSocket() { close_elsewhere(std::move(descriptor_)); }

  int get() const { return descriptor_.get(); }
  explicit operator bool() const { return static_cast<bool>(descriptor_); }
  const FileDescriptor& descriptor() const { return descriptor_; }
  // The caller closes it by close_elsewhere().
  [[nodiscard]] int release() { return descriptor_.release(); }

 private:
  FileDescriptor descriptor_;
};

// As recv(2) and send(2) without waiting: bytes moved, 0 at the end of the stream, or -1 and errno (EAGAIN: not now).
ssize_t receive_some(int socket, void* into, std::size_t size);
ssize_t send_some(int socket, const void* data, std::size_t size);

}  // namespace berth::tunnels
