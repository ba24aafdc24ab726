// The library against the real OpenSSH client: the keys of users and of the host.
#include <algorithm>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>

#include "base/encoding.hpp"
#include "server/ssh/wire.hpp"
#include "tests/unit/ssh/openssh_fixture.hpp"

namespace berth::ssh::test {
namespace {

namespace asio = boost::asio;

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
