// One connection to berthd: messages in, messages and descriptors out.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/loop.hpp"
#include "base/handles.hpp"

namespace berth::agent {

using Descriptors = std::vector<FileDescriptor>;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Handlers {
    std::function<void(const std::shared_ptr<Connection>&, std::string_view text, Descriptors descriptors)> message;
    std::function<void(const std::shared_ptr<Connection>&)> closed;  // once, never from inside send()
  };
  Connection(Loop& loop, FileDescriptor socket, Handlers handlers);
  ~Connection();
  void start();

  // Sends now, or queues while berthd does not read; the connection is given up when over kMaxQueued bytes wait.
  // The descriptors are closed here once they are on their way. `instead` goes when the kernel will not carry them.
  void send(std::string text, std::vector<FileDescriptor> descriptors = {}, std::string instead = {});
  void close();
  bool open() const { return static_cast<bool>(socket_); }
  std::uint64_t id() const { return id_; }  // never used twice in one run

 private:
  static constexpr std::size_t kMaxQueued = 4 * 1024 * 1024;
  struct Outgoing {
    std::string text;
    std::vector<FileDescriptor> descriptors;
    std::string instead;
  };
  void on_ready(std::uint32_t events);
  void read_all();
  void write_queued();
  bool try_send(Outgoing& message);  // false: must wait
  void fail_later();

  Loop& loop_;
  FileDescriptor socket_;
  Handlers handlers_;
  Loop::WatchId watch_ = 0;
  Loop::TimerId failing_ = 0;
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t id_;
};

}  // namespace berth::agent
