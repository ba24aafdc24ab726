// A small SSH server on 127.0.0.1 for tests of the library: runs commands as local processes and forwards to local ports.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/ssh/session.hpp"
#include "tests/unit/ssh/programs.hpp"

namespace berth::ssh::test {

class TestServer {
 public:
  // Logs in every user with one of these public blobs.
  explicit TestServer(std::vector<std::string> allowed_keys, std::shared_ptr<ServerOptions> options = default_options());
  ~TestServer();
  static std::shared_ptr<ServerOptions> default_options();

  std::uint16_t port() const { return port_; }
  // The OpenSSH client's command line for this server, without its configuration, agent and known hosts.
  std::vector<std::string> ssh(const std::string& key_file, std::vector<std::string> rest) const;
  // What ended the last session, "kind: message".
  std::string last_end() const;
  std::string last_cipher() const;
  int sessions_ended() const { return ended_; }

 private:
  friend struct Handlers;
  const std::vector<std::string> allowed_keys_;
  const std::shared_ptr<const ServerOptions> options_;
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::acceptor acceptor_{io_};
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::string last_end_, last_cipher_;
  std::atomic<int> ended_{0};
  std::thread thread_;
};

}  // namespace berth::ssh::test
