// A descriptor with what it is watched for; nothing watched means that nothing can wake us for it, not even a hang-up.
#pragma once
#include <cstdint>
#include <utility>

#include "agent/loop.hpp"
#include "base/handles.hpp"

namespace berth::agent {

class Watched {
 public:
  Watched(Loop& loop, FileDescriptor descriptor, Loop::Ready ready = {}) : loop_(loop), descriptor_(std::move(descriptor)), ready_(std::move(ready)) {}
  ~Watched() { close(); }
  Watched(const Watched&) = delete;

  // Before anything is watched.
  void on_ready(Loop::Ready ready) { ready_ = std::move(ready); }
  int fd() const { return descriptor_.get(); }
  bool open() const { return static_cast<bool>(descriptor_); }
  // EPOLLHUP and EPOLLERR always come along with whatever is watched: with 0 they do not.
  void want(std::uint32_t events) {
    if (!open() || events == events_) return;
    if (id_ && events) loop_.change(id_, events);
    else if (id_) loop_.forget(std::exchange(id_, 0));
    else id_ = loop_.watch(fd(), events, ready_);
    events_ = id_ ? events : 0;
  }
  void close() {
    if (id_) loop_.forget(std::exchange(id_, 0));
    events_ = 0;
    descriptor_.reset();
  }

 private:
  Loop& loop_;
  FileDescriptor descriptor_;
  Loop::Ready ready_;
  Loop::WatchId id_ = 0;
  std::uint32_t events_ = 0;
};

}  // namespace berth::agent
