// What is not SSH, or stops being SSH, ends its own connection and no other.
#include <gtest/gtest.h>

#include <boost/asio/read.hpp>

#include "tests/unit/ssh/test_server.hpp"

namespace berth::ssh::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class RawClient : public testing::Test {
 protected:
  static std::shared_ptr<ServerOptions> options() {
    auto options = std::make_shared<ServerOptions>(*TestServer::default_options());
    options->login_grace = std::chrono::seconds(1);
    return options;
  }
  tcp::socket connect() {
    tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), server.port()});
    return socket;
  }
  // Everything that the server says until it closes the connection.
  static std::string rest(tcp::socket& socket) {
    std::string text;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(text), error);
    return text;
  }
  // What the server answers to `bytes` before it hangs up, which it must do within the second of grace and the linger.
  std::string answer_to(std::string_view bytes) {
    tcp::socket socket = connect();
    asio::write(socket, asio::buffer(bytes.data(), bytes.size()));
    return rest(socket);
  }
  void expect_still_serving() {
    EXPECT_EQ(run(server.ssh(key, {"127.0.0.1", "echo fine"})).out, "fine\n");
  }

  TempDir directory;
  std::string key = directory / "key";
  std::string blob = make_key(key);
  TestServer server{{blob}, options()};
  asio::io_context io;
};

TEST_F(RawClient, GarbageInPlaceOfAVersion) {
  const tcp::socket half = connect();  // says nothing, holds nobody up
  EXPECT_EQ(answer_to("GET / HTTP/1.1\r\nHost: example\r\n\r\n"), "SSH-2.0-Berth_0.1\r\nInvalid SSH identification string.\r\n");
  EXPECT_EQ(answer_to(std::string(1000, 'a')).substr(0, 8), "SSH-2.0-");
  EXPECT_EQ(answer_to(std::string("\0\1\2\n", 4)).substr(0, 8), "SSH-2.0-");
  EXPECT_EQ(answer_to("SSH-1.5-old\r\n").substr(0, 8), "SSH-2.0-");
  expect_still_serving();
}

TEST_F(RawClient, GarbageAfterTheVersion) {
  EXPECT_EQ(answer_to("SSH-2.0-test\r\n" + std::string(5000, 'b')).substr(0, 8), "SSH-2.0-");
  EXPECT_EQ(answer_to("SSH-2.0-test\r\n" + std::string(5000, '\0')).substr(0, 8), "SSH-2.0-");
  expect_still_serving();
}

TEST_F(RawClient, HalfAVersionAndSilenceEndWithTheGrace) {
  for (const char* begun : {"", "SSH-2.", "SSH-2.0-slow\r\n"}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(answer_to(begun).substr(0, 8), "SSH-2.0-");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4)) << begun;
  }
  expect_still_serving();
}

TEST_F(RawClient, ASlowVersionStillEndsWithTheGrace) {
  tcp::socket socket = connect();
  boost::system::error_code error;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100 && !error; ++i) {
    asio::write(socket, asio::buffer("S", 1), error);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(error);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  expect_still_serving();
}

TEST_F(RawClient, ManyThatHangUpAtOnce) {
  for (int i = 0; i < 50; ++i) connect();
  expect_still_serving();
}

}  // namespace
}  // namespace berth::ssh::test
