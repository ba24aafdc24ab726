// The library against the real OpenSSH client: every byte arrives, by whatever cipher, in whatever pieces and while keys and windows change.
#include <algorithm>
#include <boost/asio/write.hpp>

#include "tests/unit/ssh/openssh_fixture.hpp"

namespace berth::ssh::test {
namespace {

namespace asio = boost::asio;

TEST_F(OpenSsh, LargeTransfersBothWaysKeepEveryByte) {
  struct Case {
    const char* cipher;
    std::size_t size;
  };
  for (const Case& each : {Case{"chacha20-poly1305@openssh.com", 200'000'000}, Case{"aes128-gcm@openssh.com", 20'000'000},
                           Case{"aes256-gcm@openssh.com", 20'000'000}, Case{"aes128-ctr", 20'000'000}, Case{"aes256-ctr", 20'000'000}}) {
    const std::string bytes = some_bytes(each.size);
    const Finished done = ssh({"-c", each.cipher, "127.0.0.1", "cat"}, bytes);
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_TRUE(done.out == bytes) << each.cipher << ": " << done.out.size();
  }
}

TEST_F(OpenSsh, EveryMacOfThePlainCiphers) {
  const std::string bytes = some_bytes(1'000'000);
  for (const char* mac : {"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"}) {
    const Finished done = ssh({"-c", "aes128-ctr", "-m", mac, "-o", "RekeyLimit=300K", "127.0.0.1", "cat"}, bytes);
    EXPECT_EQ(done.code, 0) << mac << ": " << done.err;
    EXPECT_TRUE(done.out == bytes) << mac << ": " << done.out.size();
  }
}

// Between a client and the server: passes on what the client sends in pieces of `size`, which arrive as they may.
class Cutter {
 public:
  Cutter(std::uint16_t server, std::size_t size) : thread_([this, server, size] { serve(server, size); }) {}
  ~Cutter() { thread_.join(); }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  using tcp = asio::ip::tcp;
  void serve(std::uint16_t server, std::size_t size) {
    boost::system::error_code error;
    tcp::socket client(io_), target(io_);
    acceptor_.accept(client, error);
    target.connect({asio::ip::address_v4::loopback(), server}, error);
    target.set_option(tcp::no_delay(true), error);
    std::thread back([&client, &target] { copy(target, client, 1 << 16); });
    copy(client, target, size);
    back.join();
  }
  static void copy(tcp::socket& from, tcp::socket& to, std::size_t size) {
    boost::system::error_code error;
    std::vector<char> buffer(1 << 16);
    for (;;) {
      const std::size_t count = from.read_some(asio::buffer(buffer), error);
      for (std::size_t at = 0; at < count && !error; at += size) asio::write(to, asio::buffer(buffer.data() + at, std::min(size, count - at)), error);
      if (error) break;
    }
    to.shutdown(tcp::socket::shutdown_send, error);
  }

  asio::io_context io_;
  tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

TEST_F(OpenSsh, PacketsMayBeCutAnywhere) {
  struct Case {
    const char* cipher;
    std::size_t piece, size;
  };
  for (const Case& each : {Case{"chacha20-poly1305@openssh.com", 1, 70'000}, Case{"aes256-gcm@openssh.com", 3, 200'000}, Case{"aes128-ctr", 37, 900'000},
                           Case{"aes128-gcm@openssh.com", 4099, 3'000'000}, Case{"chacha20-poly1305@openssh.com", 33'001, 9'000'000}}) {
    const std::string bytes = some_bytes(each.size);
    const Cutter cutter(server.port(), each.piece);
    std::vector<std::string> command = server.ssh(key, {"-c", each.cipher, "-o", "RekeyLimit=2M", "127.0.0.1", "cat"});
    *std::find(command.begin(), command.end(), std::to_string(server.port())) = std::to_string(cutter.port());
    const Finished done = run(command, bytes);
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_TRUE(done.out == bytes) << each.cipher << " in pieces of " << each.piece << ": " << done.out.size();
  }
}

TEST_F(OpenSsh, RekeyingUnderLoadLosesNothing) {
  const std::string bytes = some_bytes(32'000'000);
  const Finished done = ssh({"-o", "RekeyLimit=1M", "127.0.0.1", "cat; echo bye >&2"}, bytes);
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(done.out == bytes) << done.out.size();
  EXPECT_EQ(done.err, "bye\n");
}

std::vector<std::string> talkative(std::vector<std::string> command) {
  *std::find(command.begin(), command.end(), "LogLevel=ERROR") = "LogLevel=DEBUG1";
  return command;
}

int key_exchanges(const std::string& log) {
  constexpr std::string_view kDone = "SSH2_MSG_NEWKEYS received";
  int count = 0;
  for (std::size_t at = log.find(kDone); at != std::string::npos; at = log.find(kDone, at + 1)) ++count;
  return count;
}

// Both sides ask, by bytes and by time, while data goes both ways.
TEST_F(OpenSsh, BothSidesRekeyUnderLoad) {
  auto options = std::make_shared<ServerOptions>(*TestServer::default_options());
  options->rekey_bytes = 1 << 20;
  options->rekey_after = std::chrono::seconds(1);
  TestServer often({blob}, options);
  const std::string bytes = some_bytes(24'000'000);
  for (const char* cipher : {"chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"}) {
    for (const char* client_limit : {"RekeyLimit=default", "RekeyLimit=1500K 1s"}) {
      const Finished done = run(talkative(often.ssh(key, {"-c", cipher, "-o", client_limit, "127.0.0.1", "cat; echo bye >&2"})), bytes);
      EXPECT_EQ(done.code, 0);
      EXPECT_TRUE(done.out == bytes) << done.out.size();
      EXPECT_GT(key_exchanges(done.err), 4) << cipher << " " << client_limit;
    }
  }
}

// By time alone, on a connection that carries little.
TEST_F(OpenSsh, TheServerRekeysByTime) {
  auto options = std::make_shared<ServerOptions>(*TestServer::default_options());
  options->rekey_after = std::chrono::seconds(1);
  TestServer often({blob}, options);
  const Finished done = run(talkative(often.ssh(key, {"127.0.0.1", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done"})));
  EXPECT_EQ(done.out, "1\n2\n3\n4\n5\n6\n");
  EXPECT_GE(key_exchanges(done.err), 2);
}

// What all connections together may make the server buffer has an end; smaller windows carry all the same.
TEST_F(OpenSsh, WindowsShareAPool) {
  auto options = std::make_shared<ServerOptions>(*TestServer::default_options());
  options->windows = std::make_shared<WindowPool>(1 << 20);
  {
    TestServer small({blob}, options);
    const std::string bytes = some_bytes(3'000'000);
    std::vector<std::string> command = small.ssh(key, {"127.0.0.1", "cat"});
    *std::find(command.begin(), command.end(), "LogLevel=ERROR") = "LogLevel=DEBUG2";
    const Finished done = run(command, bytes);
    EXPECT_TRUE(done.out == bytes) << done.out.size();
    EXPECT_NE(done.err.find("rwindow 524288 "), std::string::npos) << "half of what is left";
    options->windows->granted += 1 << 20;  // others have it
    const Finished later = run(command, bytes);
    EXPECT_TRUE(later.out == bytes) << later.out.size();
    EXPECT_NE(later.err.find("rwindow 65536 "), std::string::npos) << "the least";
  }
  EXPECT_EQ(options->windows->granted, 1u << 20) << "all was given back";
}

}  // namespace
}  // namespace berth::ssh::test
