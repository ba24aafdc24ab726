// A stand-in for an HTTP server on a Unix socket: keeps the requests it got and answers each with the raw bytes that the test's function
// returns, so that a test can also send what no sound server would.
#pragma once
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.hpp"
#include "base/handles.hpp"

namespace berth::testing_support {

struct SeenRequest {
  std::string method, target, headers, body;
};

inline std::string json_answer(int status, const std::string& body, const std::string& type = "application/json") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

class UnixHttpServer {
 public:
  using Answer = std::function<std::string(const SeenRequest&)>;

  explicit UnixHttpServer(Answer answer) : answer_(std::move(answer)) {
    char directory[] = "/tmp/berth-http.XXXXXX";
    BERTH_ASSERT(::mkdtemp(directory) != nullptr);
    directory_ = directory;
    path_ = directory_ + "/s";
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    BERTH_ASSERT(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    BERTH_ASSERT(::listen(listener_.get(), 16) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~UnixHttpServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }
  const std::string& path() const { return path_; }
  const std::string& directory() const { return directory_; }
  FileDescriptor connect() const {
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    BERTH_ASSERT(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return socket;
  }
  std::vector<SeenRequest> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void serve() {
    while (true) {
      const FileDescriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      const SeenRequest request = read_request(peer.get());
      if (request.method.empty()) continue;
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(request);
      }
      const std::string bytes = answer_(request);
      for (std::size_t sent = 0; sent < bytes.size();) {
        const ssize_t n = ::send(peer.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
      }
      if (bytes.empty()) {  // says nothing until the client has had enough
        pollfd waiting{peer.get(), POLLIN, 0};
        ::poll(&waiting, 1, 5000);
      }
    }
  }

  static SeenRequest read_request(int fd) {
    std::string text;
    std::size_t head = std::string::npos, length = 0;
    while (head == std::string::npos || text.size() < head + 4 + length) {
      char piece[4096];
      const ssize_t n = ::recv(fd, piece, sizeof piece, 0);
      if (n <= 0) return {};
      text.append(piece, static_cast<std::size_t>(n));
      head = text.find("\r\n\r\n");
      const std::size_t at = text.find("Content-Length: ");
      if (at != std::string::npos && at < head) length = std::strtoul(text.c_str() + at + 16, nullptr, 10);
    }
    const std::size_t first = text.find(' '), second = text.find(' ', first + 1), line = text.find("\r\n");
    return {text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(line + 2, head - line - 2), text.substr(head + 4)};
  }

  Answer answer_;
  std::string directory_, path_;
  FileDescriptor listener_;
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;
  std::thread thread_;
};

}  // namespace berth::testing_support
