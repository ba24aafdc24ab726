// Blocking sockets of the test's thread: clients of the server, and the servers in a workspace that it reaches.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/handles.hpp"

namespace berth::web {

// One answer as a client sees it.
struct Answer {
  int status = 0;
  std::string head;  // with its empty line
  std::string body;  // unchunked
  std::string field(std::string_view name) const;               // first value
  std::vector<std::string> fields(std::string_view name) const;
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

// A blocking socket with a receive limit of 10 s.
class Wire {
 public:
  explicit Wire(FileDescriptor socket, SSL_CTX* tls = nullptr);
  void send(std::string_view data);
  // One read; empty at the end of the stream. Fails the test on time-out.
  std::string receive();
  std::string receive_until(std::string_view mark);
  std::string receive_exactly(std::size_t size);
  std::string receive_all();  // to the end of the stream
  bool ended();               // nothing more comes
  Answer answer(std::string_view method = "GET");
  void finish_sending();
  SSL* ssl() const { return ssl_.get(); }
  int fd() const { return socket_.get(); }

 private:
  FileDescriptor socket_;
  SslHandle ssl_;
  std::string buffered_;
};

// Nothing when nobody listens there; errno says more.
FileDescriptor connect_tcp_port(std::uint16_t port);
FileDescriptor connect_unix_path(const std::string& path);

Wire connect_to(std::uint16_t port, SSL_CTX* tls = nullptr);

// A listening server inside "the workspace".
class Upstream {
 public:
  Upstream();                                    // TCP
  explicit Upstream(const std::string& path);    // Unix
  Wire accept();
  // Opens the WebSocket that `browser` has asked for, up to the point where both ends speak freely.
  Wire accept_websocket(Wire& browser);
  bool somebody_waits(int milliseconds = 50);  // would accept() answer at once?
  std::uint16_t port() const { return port_; }

 private:
  FileDescriptor socket_;
  std::uint16_t port_ = 0;
};

}  // namespace berth::web
