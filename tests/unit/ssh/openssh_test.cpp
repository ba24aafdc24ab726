// The library against the real OpenSSH client: commands, forwards, and how a connection ends.
#include <algorithm>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "tests/unit/ssh/openssh_fixture.hpp"

namespace berth::ssh::test {
namespace {

namespace asio = boost::asio;

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

}  // namespace
}  // namespace berth::ssh::test
