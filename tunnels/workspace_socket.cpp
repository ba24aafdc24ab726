#include "tunnels/workspace_socket.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace berth::tunnels {

namespace {

constexpr std::size_t kKernelCarries = 253;  // SCM_MAX_FD: descriptors in one message
constexpr unsigned kMostThreads = 16;

// Threads for closing. One is enough as long as no close waits; a peer would have to switch lingering on again between two
// system calls to hold one of them up, and then holds up that one.
class Closer {
 public:
  void take(FileDescriptor descriptor) {
    std::unique_lock lock(mutex_);
    waiting_.push_back(std::move(descriptor));
    if (idle_ < waiting_.size() && threads_ < kMostThreads) {
      ++threads_;
      std::thread([this] { work(); }).detach();
    }
    lock.unlock();
    some_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      some_.wait(lock, [this] { return !waiting_.empty(); });
      --idle_;
      FileDescriptor descriptor = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      const linger off{};
      ::setsockopt(descriptor.get(), SOL_SOCKET, SO_LINGER, &off, sizeof off);  // no socket: nothing to switch off
      descriptor.reset();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable some_;
  std::deque<FileDescriptor> waiting_;
  std::size_t idle_ = 0;
  unsigned threads_ = 0;
};

}  // namespace

// One for the process, never destroyed: like the log it has no state that anybody could see.
void close_elsewhere(FileDescriptor descriptor) {
  static Closer* const closer = new Closer;
  if (descriptor) closer->take(std::move(descriptor));
}

ssize_t receive_some(int socket, void* into, std::size_t size) {
  iovec part{into, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kKernelCarries)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const int why = errno;
  if (got < 0) return got;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, reinterpret_cast<const char*>(header) + at, sizeof descriptor);
      close_elsewhere(FileDescriptor(descriptor));
    }
  }
  errno = why;
  return got;
}

ssize_t send_some(int socket, const void* data, std::size_t size) { return ::send(socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL); }

}  // namespace berth::tunnels
