#include "tests/unit/web/wire.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <utility>

#include "web/http_head.hpp"

namespace berth::web {
namespace {

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace

FileDescriptor connect_tcp_port(std::uint16_t port) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

FileDescriptor connect_unix_path(const std::string& path) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_address(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

std::vector<std::string> Answer::fields(std::string_view name) const {
  std::vector<std::string> found;
  std::size_t at = head.find("\r\n");
  while (at + 2 < head.size()) {
    const std::size_t from = at + 2, end = head.find("\r\n", from);
    const std::string line = head.substr(from, end - from);
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && equals_ignoring_case(line.substr(0, colon), name)) found.push_back(line.substr(line.find_first_not_of(' ', colon + 1)));
    at = end;
  }
  return found;
}

std::string Answer::field(std::string_view name) const {
  const auto found = fields(name);
  return found.empty() ? std::string() : found.front();
}

Wire::Wire(FileDescriptor socket, SSL_CTX* tls) : socket_(std::move(socket)) {
  const timeval limit{10, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!tls) return;
  ssl_.reset(SSL_new(tls));
  SSL_set_fd(ssl_.get(), socket_.get());
  SSL_connect(ssl_.get());
}

void Wire::send(std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ssl_ ? SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())) : ::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the other side closed: what it answered tells why
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string Wire::receive() {
  if (!buffered_.empty()) return std::exchange(buffered_, {});
  std::string data(64 * 1024, '\0');
  const ssize_t got = ssl_ ? SSL_read(ssl_.get(), data.data(), static_cast<int>(data.size())) : ::recv(socket_.get(), data.data(), data.size(), 0);
  if (got < 0 && errno == EAGAIN) ADD_FAILURE() << "nothing came for 10 s";
  data.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return data;
}

std::string Wire::receive_until(std::string_view mark) {
  std::string data;
  std::size_t at;
  while ((at = data.find(mark)) == std::string::npos) {
    const std::string part = receive();
    if (part.empty()) return data;
    data += part;
  }
  buffered_ = data.substr(at + mark.size());
  data.resize(at + mark.size());
  return data;
}

std::string Wire::receive_exactly(std::size_t size) {
  std::string data;
  while (data.size() < size) {
    const std::string part = receive();
    if (part.empty()) return data;
    data += part;
  }
  buffered_ = data.substr(size);
  data.resize(size);
  return data;
}

std::string Wire::receive_all() {
  std::string data;
  while (true) {
    const std::string part = receive();
    if (part.empty()) return data;
    data += part;
  }
}

bool Wire::ended() { return receive().empty(); }

Answer Wire::answer(std::string_view method) {
  Answer answer;
  answer.head = receive_until("\r\n\r\n");
  if (answer.head.size() < 12) return answer;
  answer.status = std::stoi(answer.head.substr(9, 3));
  const bool no_body = method == "HEAD" || answer.status == 204 || answer.status == 304 || answer.status < 200;
  if (no_body) return answer;
  if (answer.field("Transfer-Encoding") == "chunked") {
    ChunkScanner scanner;
    std::size_t used = 0;
    while (scanner.scan(receive_exactly(1), used, &answer.body) == ChunkScanner::State::more) {
    }
  } else if (!answer.field("Content-Length").empty()) {
    answer.body = receive_exactly(std::stoul(answer.field("Content-Length")));
  } else {
    answer.body = receive_all();
  }
  return answer;
}

void Wire::finish_sending() {
  if (ssl_) SSL_shutdown(ssl_.get());
  else ::shutdown(socket_.get(), SHUT_WR);
}

Wire connect_to(std::uint16_t port, SSL_CTX* tls) { return Wire(connect_tcp_port(port), tls); }

Upstream::Upstream() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(socket_.get(), 16), 0);
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
}

Upstream::Upstream(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_un address = unix_address(path);
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(socket_.get(), 16), 0);
}

bool Upstream::somebody_waits(int milliseconds) {
  pollfd look{socket_.get(), POLLIN, 0};
  return ::poll(&look, 1, milliseconds) == 1;
}

Wire Upstream::accept() {
  if (!somebody_waits(10'000)) {
    ADD_FAILURE() << "nobody connected for 10 s";
    return Wire(FileDescriptor());
  }
  return Wire(FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

Wire Upstream::accept_websocket(Wire& browser) {
  Wire inside = accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello");
  EXPECT_EQ(browser.answer().status, 101);
  EXPECT_EQ(browser.receive_exactly(5), "hello");
  return inside;
}

}  // namespace berth::web
