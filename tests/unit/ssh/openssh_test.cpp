// The library against the real OpenSSH client.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <random>

#include "base/encoding.hpp"
#include "server/ssh/wire.hpp"
#include "tests/unit/ssh/test_server.hpp"

namespace berth::ssh::test {
namespace {

namespace asio = boost::asio;

// Pseudo-random, so that a lost or doubled block cannot go unseen.
std::string some_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::mt19937_64 random(7);
  for (std::size_t i = 0; i + 8 <= count; i += 8) {
    const std::uint64_t word = random();
    memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

class OpenSsh : public testing::Test {
 protected:
  Finished ssh(std::vector<std::string> rest, std::string_view input = {}) { return run(server.ssh(key, std::move(rest)), input); }

  TemporaryDirectory directory;
  std::string key = directory / "key";
  std::string blob = make_key(key);
  TestServer server{{blob}};
};

TEST_F(OpenSsh, ExecPassesTheExitCodeAndKeepsTheOutputsApart) {
  const Finished done = ssh({"127.0.0.1", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(done.code, 7);
  EXPECT_EQ(done.out, "out\n");
  EXPECT_EQ(done.err, "err\n");
}

TEST_F(OpenSsh, StandardInputEndsWithEof) {
  EXPECT_EQ(ssh({"127.0.0.1", "wc -c"}, std::string(100'000, 'x')).out, "100000\n");
  EXPECT_EQ(ssh({"127.0.0.1", "cat; echo after"}, "before\n").out, "before\nafter\n");
}

TEST_F(OpenSsh, ACommandMayEndWithoutReadingItsInput) {
  const Finished done = ssh({"127.0.0.1", "head -c 3; exit 4"}, std::string(8'000'000, 'x'));
  EXPECT_EQ(done.code, 4);
  EXPECT_EQ(done.out, "xxx");
}

TEST_F(OpenSsh, ASignalIsReported) {
  const Finished done = ssh({"127.0.0.1", "kill -TERM $$"});
  EXPECT_EQ(done.code, 255);
}

TEST_F(OpenSsh, SubsystemAndEnvironment) {
  EXPECT_EQ(ssh({"-s", "127.0.0.1", "echo"}, "hello").out, "hello");
  EXPECT_NE(ssh({"-s", "127.0.0.1", "nothing"}).code, 0);
  EXPECT_EQ(ssh({"-o", "SetEnv=GREETING=hej", "127.0.0.1", "echo $GREETING"}).out, "hej\n");
}

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

TEST_F(OpenSsh, ForwardsToAPort) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  const std::string bytes = some_bytes(3'000'000);
  std::thread target([&] {
    asio::ip::tcp::socket socket = acceptor.accept();
    std::string received;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(received), error);  // to the client's half-close
    asio::write(socket, asio::buffer(received));
  });
  const Finished done =
      ssh({"-W", "localhost:" + std::to_string(acceptor.local_endpoint().port()), "127.0.0.1"}, bytes);
  target.join();
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(done.out == bytes) << done.out.size();
}

// The command would be over long before the refusal: sshd answers one after the other.
TEST_F(OpenSsh, ARefusedListenerIsToldBeforeTheCommandIsServed) {
  const Finished done = ssh({"-o", "ExitOnForwardFailure=yes", "-R", "refused-slowly:0:localhost:1", "127.0.0.1", "true"});
  EXPECT_EQ(done.code, 255) << done.err;
  EXPECT_EQ(ssh({"-R", "refused-slowly:0:localhost:1", "127.0.0.1", "echo all the same"}).out, "all the same\n");
}

TEST_F(OpenSsh, ARefusedForwardSaysWhy) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  const std::uint16_t free_port = acceptor.local_endpoint().port();
  acceptor.close();
  std::vector<std::string> command = server.ssh(key, {"-W", "localhost:" + std::to_string(free_port), "127.0.0.1"});
  *std::find(command.begin(), command.end(), "LogLevel=ERROR") = "LogLevel=INFO";
  const Finished done = run(command);
  EXPECT_NE(done.code, 0);
  EXPECT_NE(done.err.find("Connection refused"), std::string::npos) << done.err;
}

TEST_F(OpenSsh, ReverseForwardAndManyChannelsAtOnce) {
  // The client's -R sends each connection back to a port of its own machine: here to an echo on this one.
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  std::thread target([&] {
    asio::ip::tcp::socket socket = acceptor.accept();
    asio::write(socket, asio::buffer(std::string("from the target\n")));
  });
  const std::string forward = "0:127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  const std::string log = directory / "log";
  // The allocated port is in the client's log; the command waits for it there.
  std::vector<std::string> command = server.ssh(key, {"-R", forward, "127.0.0.1",
                                                      "until p=$(grep -o 'Allocated port [0-9]*' " + log +
                                                          "); do sleep 0.05; done; exec bash -c \"cat < /dev/tcp/127.0.0.1/${p##* }\""});
  for (std::string& word : command)
    if (word == "LogLevel=ERROR") word = "LogLevel=INFO";
  command.insert(command.begin() + 1, {"-E", log});
  const Finished done = run(command);
  if (done.out.empty()) {
    asio::ip::tcp::socket unblock(io);
    unblock.connect(acceptor.local_endpoint());
  }
  target.join();
  EXPECT_EQ(done.out, "from the target\n") << done.err << read_file(log);
}

TEST_F(OpenSsh, SharedConnectionServesManyCommands) {
  const std::string control = directory / "control";
  std::vector<std::string> master = server.ssh(key, {"-M", "-S", control, "-o", "ControlPersist=yes", "127.0.0.1", "true"});
  ASSERT_EQ(run(master).code, 0);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&, i] {
      const std::string text = std::to_string(i) + "\n";
      if (run(server.ssh(key, {"-S", control, "127.0.0.1", "cat"}), text).out == text) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 20);
  run(server.ssh(key, {"-S", control, "-O", "exit", "127.0.0.1"}));
}

TEST_F(OpenSsh, KeysOfEveryType) {
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    const std::string file = directory / type;
    TestServer of_type({make_key(file, type)});
    EXPECT_EQ(run(of_type.ssh(file, {"127.0.0.1", "echo yes"})).out, "yes\n") << type;
  }
}

TEST_F(OpenSsh, SshRsaWithSha1IsRefused) {
  const std::string file = directory / "rsa";
  TestServer of_type({make_key(file, "rsa")});
  const Finished done = run(of_type.ssh(file, {"-o", "PubkeyAcceptedAlgorithms=ssh-rsa", "127.0.0.1", "echo yes"}));
  EXPECT_NE(done.code, 0);
  EXPECT_EQ(done.out, "");
}

TEST_F(OpenSsh, EveryTypeOfHostKey) {
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    auto options = std::make_shared<ServerOptions>();
    options->host_keys = {generate_host_key(type).value()};
    TestServer of_type({blob}, options);
    EXPECT_EQ(run(of_type.ssh(key, {"127.0.0.1", "echo yes"})).out, "yes\n") << type;
  }
}

// hostkeys-00@openssh.com and its proof: the client writes the keys that it did not know into its known_hosts.
TEST_F(OpenSsh, LearnsAnnouncedHostKeys) {
  auto options = std::make_shared<ServerOptions>();
  const std::string old_key = generate_host_key("ed25519").value();
  options->host_keys = {old_key, generate_host_key("rsa").value()};
  options->announced_keys = {generate_host_key("ed25519").value(), generate_host_key("ecdsa").value(), generate_host_key("rsa").value()};
  TestServer rotating({blob}, options);
  const std::string port = std::to_string(rotating.port());
  // The client learns keys of the types that it accepts; which it prefers decides how an RSA key must prove itself.
  for (const std::string algorithm : {"ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512", "rsa-sha2-512,ecdsa-sha2-nistp256,ssh-ed25519",
                                       "rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519"}) {
    const std::string known = directory / ("known_" + algorithm.substr(0, 12));
    const std::vector<std::string> command = {"ssh", "-F", "/dev/null", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-i", key, "-p", port, "-l", "ada",
                                              "-o", "UserKnownHostsFile=" + known, "-o", "HostKeyAlgorithms=" + algorithm, "-o",
                                              "UpdateHostKeys=yes", "-o", "HashKnownHosts=no"};
    std::vector<std::string> first = command, second = command;
    first.insert(first.end(), {"-o", "StrictHostKeyChecking=accept-new", "127.0.0.1", "echo one"});
    const Finished done = run(first);
    EXPECT_EQ(done.out, "one\n") << done.err;
    // It learns from a server that it knows already.
    second.insert(second.end(), {"-o", "StrictHostKeyChecking=yes", "127.0.0.1", "echo two"});
    const Finished again = run(second);
    EXPECT_EQ(again.out, "two\n");
    const std::string text = read_file(known);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5) << algorithm << "\n" << text << again.err;
    EXPECT_EQ(run(second).out, "two\n");
  }
}

// A login that began before a rotation and ended after it: it is told nothing, and the next one is.
TEST_F(OpenSsh, ALoginDuringARotationForgetsNoKey) {
  auto options = std::make_shared<ServerOptions>();
  options->host_keys = {generate_host_key("ed25519").value()};
  TestServer rotating({blob}, options);
  const std::string known = directory / "known_newer";
  const std::string host = "[127.0.0.1]:" + std::to_string(rotating.port());
  const auto line = [&](const std::string& private_key) {
    const PublicKey half = public_half(private_key).value();
    return host + " " + half.type + " " + base64_encode(half.blob) + "\n";
  };
  const std::string both = line(options->host_keys.front()) + line(generate_host_key("ed25519").value());
  const std::vector<std::string> command = {"ssh", "-F", "/dev/null", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-i", key, "-p", std::to_string(rotating.port()),
                                            "-l", "ada", "-o", "UserKnownHostsFile=" + known, "-o", "UpdateHostKeys=yes", "-o", "HashKnownHosts=no", "-o",
                                            "StrictHostKeyChecking=yes", "127.0.0.1", "echo yes"};
  options->superseded->store(true);
  std::ofstream(known) << both;
  EXPECT_EQ(run(command).out, "yes\n");
  EXPECT_EQ(read_file(known), both);
  options->superseded->store(false);
  EXPECT_EQ(run(command).out, "yes\n");
  EXPECT_EQ(read_file(known), line(options->host_keys.front()));
}

TEST_F(OpenSsh, AnUnknownKeyIsRefusedAndTheSecondOfTwoWorks) {
  const std::string other = directory / "other";
  make_key(other);
  const Finished refused = run(server.ssh(other, {"127.0.0.1", "echo yes"}));
  EXPECT_EQ(refused.code, 255);
  EXPECT_NE(refused.err.find("Permission denied (publickey)"), std::string::npos) << refused.err;
  EXPECT_EQ(run(server.ssh(other, {"-i", key, "127.0.0.1", "echo yes"})).out, "yes\n");
}

TEST_F(OpenSsh, AnAgentWithManyKeysStillGetsIn) {
  std::vector<std::string> rest;
  for (int i = 0; i < 8; ++i) {
    const std::string file = directory / ("many" + std::to_string(i));
    make_key(file);
    rest.insert(rest.end(), {"-i", file});
  }
  rest.insert(rest.end(), {"-i", key, "127.0.0.1", "echo yes"});
  std::vector<std::string> command = server.ssh(directory / "many0", rest);
  EXPECT_EQ(run(command).out, "yes\n");
}

TEST_F(OpenSsh, BannerAndDisconnectTextAreShown) {
  std::vector<std::string> away = server.ssh(key, {"127.0.0.1", "true"});
  *(std::find(away.begin(), away.end(), "-l") + 1) = "goaway";
  const Finished gone = run(away);
  EXPECT_EQ(gone.code, 255);
  EXPECT_NE(gone.err.find("Come back tomorrow."), std::string::npos) << gone.err;
  std::vector<std::string> greeted = server.ssh(key, {"127.0.0.1", "true"});
  *(std::find(greeted.begin(), greeted.end(), "-l") + 1) = "banner";
  *std::find(greeted.begin(), greeted.end(), "LogLevel=ERROR") = "LogLevel=INFO";
  const std::string shown = run(greeted).err;
  EXPECT_NE(shown.find("Hello from the test."), std::string::npos) << shown;
  EXPECT_NE(shown.find("Welcome."), std::string::npos) << shown;  // sent before the client had begun to log in
}

TEST_F(OpenSsh, AClientThatDoesNotAnswerIsGivenUp) {
  auto options = std::make_shared<ServerOptions>(*TestServer::default_options());
  options->keepalive_interval = std::chrono::seconds(1);
  options->keepalive_limit = 1;
  TestServer impatient({blob}, options);
  // The client stops itself once it is logged in.
  std::vector<std::string> command = impatient.ssh(key, {"-o", "PermitLocalCommand=yes", "-o", "LocalCommand=kill -STOP $PPID", "-N", "127.0.0.1"});
  std::thread client([&] {
    command.insert(command.begin(), {"timeout", "-s", "KILL", "8"});
    run(command);
  });
  const auto start = std::chrono::steady_clock::now();
  while (impatient.sessions_ended() == 0 && std::chrono::steady_clock::now() - start < std::chrono::seconds(15))
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(impatient.last_end(), "timeout: The client does not answer any more.");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  client.join();
}

TEST_F(OpenSsh, AnIdleClientThatAnswersStays) {
  auto options = std::make_shared<ServerOptions>(*TestServer::default_options());
  options->keepalive_interval = std::chrono::seconds(1);
  options->keepalive_limit = 1;
  TestServer patient({blob}, options);
  EXPECT_EQ(run(patient.ssh(key, {"127.0.0.1", "sleep 4; echo still here"})).out, "still here\n");
}

TEST_F(OpenSsh, PtyRequestArrives) {
  EXPECT_EQ(ssh({"-tt", "-o", "SetEnv=TERM=vt220", "127.0.0.1", "echo $PTY"}).out, "vt220\n");
}

// An agent that has the right key and signs wrongly.
class LyingAgent {
 public:
  LyingAgent(const std::string& path, std::string blob) : blob_(std::move(blob)), acceptor_(io_, {path}) {
    thread_ = std::thread([this] { serve(); });
  }
  ~LyingAgent() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }

 private:
  void serve() {
    boost::system::error_code error;
    for (;;) {
      asio::local::stream_protocol::socket client(io_);
      acceptor_.accept(client, error);
      if (error) return;
      while (!error) {
        char length[4];
        asio::read(client, asio::buffer(length), error);
        if (error) break;
        std::string request(WireReader({length, 4}).u32(), '\0');
        asio::read(client, asio::buffer(request), error);
        WireWriter answer;
        if (request[0] == 11) {  // SSH_AGENTC_REQUEST_IDENTITIES
          answer.u8(12).u32(1).string(blob_).string("liar");
        } else if (request[0] == 13) {  // SSH_AGENTC_SIGN_REQUEST
          answer.u8(14).string(WireWriter().string("ssh-ed25519").string(std::string(64, 'x')).bytes());
        } else {
          answer.u8(5);
        }
        asio::write(client, asio::buffer(WireWriter().string(answer.bytes()).bytes()), error);
      }
    }
  }

  const std::string blob_;
  asio::io_context io_;
  asio::local::stream_protocol::acceptor acceptor_;
  std::thread thread_;
};

TEST_F(OpenSsh, AWrongSignatureIsAnsweredAtOnce) {
  const std::string socket = directory / "agent";
  const LyingAgent agent(socket, blob);
  write_file(directory / "liar.pub", read_file(key + ".pub"));
  std::vector<std::string> command = server.ssh(directory / "liar.pub", {"127.0.0.1", "echo yes"});
  *std::find(command.begin(), command.end(), "IdentityAgent=none") = "IdentityAgent=" + socket;
  const auto start = std::chrono::steady_clock::now();
  const Finished done = run(command);
  EXPECT_EQ(done.code, 255);
  EXPECT_NE(done.err.find("Permission denied (publickey)"), std::string::npos) << done.err;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace berth::ssh::test
