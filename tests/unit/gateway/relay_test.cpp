#include "server/gateway/relay.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <csignal>

#include "tests/support/fake_channel.hpp"

namespace berth::server {
namespace {
namespace asio = boost::asio;

struct Ends {
  FileDescriptor ours, theirs;  // ours goes to the relay (non-blocking), theirs is the workspace's
};

Ends pipe_from_workspace() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return {FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

Ends pipe_to_workspace() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  ::fcntl(fds[1], F_SETFL, O_NONBLOCK);
  return {FileDescriptor(fds[1]), FileDescriptor(fds[0])};
}

Ends socket_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return {FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

std::string read_all(int fd) {  // until EOF
  std::string out;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(fd, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
  return out;
}

bool at_eof_now(int fd) {
  pollfd ready{fd, POLLIN, 0};
  char byte = 0;
  return ::poll(&ready, 1, 0) == 1 && ::read(fd, &byte, 1) == 0;
}

struct RelayTest : testing::Test {
  RelayTest() { std::signal(SIGPIPE, SIG_IGN); }  // as berthd does
  asio::io_context io;
  std::shared_ptr<ssh::FakeChannel> channel = std::make_shared<ssh::FakeChannel>(io);
  void run() {
    io.restart();
    while (io.poll() > 0) {
    }
  }
};

TEST_F(RelayTest, PipesKeepStdoutAndStderrApartAndPassEofOn) {
  Ends input = pipe_to_workspace(), output = pipe_from_workspace(), errors = pipe_from_workspace();
  auto relay = Relay::of_pipes(io.get_executor(), channel, std::move(input.ours), std::move(output.ours), std::move(errors.ours));
  relay->start();
  channel->client_sends("in");
  channel->client_eof();
  ASSERT_EQ(::write(output.theirs.get(), "out", 3), 3);
  ASSERT_EQ(::write(errors.theirs.get(), "err", 3), 3);
  run();
  EXPECT_EQ(channel->received, "out");
  EXPECT_EQ(channel->received_stderr, "err");
  EXPECT_EQ(read_all(input.theirs.get()), "in");  // ends: EOF was passed on
}

TEST_F(RelayTest, InputGoesOnAtOnceWhileTheTargetTakesIt) {
  Ends input = pipe_to_workspace(), output = pipe_from_workspace(), errors = pipe_from_workspace();
  const int holds = ::fcntl(input.ours.get(), F_GETPIPE_SZ);
  ASSERT_GT(holds, 0);
  auto relay = Relay::of_pipes(io.get_executor(), channel, std::move(input.ours), std::move(output.ours), std::move(errors.ours));
  relay->start();
  const std::string first(static_cast<std::size_t>(holds) - 10, 'a');
  channel->client_sends(first);
  EXPECT_EQ(channel->bytes_in(), first.size());  // before anything else had its turn
  const std::string second(10'000, 'b');  // more than the pipe takes
  channel->client_sends(second);
  channel->client_sends("last");
  channel->client_eof();
  run();
  EXPECT_LE(channel->bytes_in(), static_cast<std::size_t>(holds));
  std::string got(first.size(), '\0');
  ASSERT_EQ(::read(input.theirs.get(), got.data(), got.size()), static_cast<ssize_t>(got.size()));
  run();
  EXPECT_EQ(got + read_all(input.theirs.get()), first + second + "last");
}

TEST_F(RelayTest, AClosedRelayTakesNothingMore) {
  Ends ends = socket_pair();
  auto relay = Relay::of_socket(io.get_executor(), channel, std::move(ends.ours));
  relay->start();
  run();
  relay->close();
  channel->client_sends("late");
  EXPECT_EQ(channel->bytes_in(), 0u);
  EXPECT_EQ(read_all(ends.theirs.get()), "");
}

TEST_F(RelayTest, OutputIsDoneOnlyAfterBothPipesHaveEnded) {
  Ends input = pipe_to_workspace(), output = pipe_from_workspace(), errors = pipe_from_workspace();
  auto relay = Relay::of_pipes(io.get_executor(), channel, std::move(input.ours), std::move(output.ours), std::move(errors.ours));
  relay->start();
  bool done = false;
  asio::co_spawn(io, relay->output_done(), [&done](const std::exception_ptr&) { done = true; });
  output.theirs.reset();
  run();
  EXPECT_FALSE(done);
  ASSERT_EQ(::write(errors.theirs.get(), "last", 4), 4);
  errors.theirs.reset();
  run();
  EXPECT_TRUE(done);
  EXPECT_EQ(channel->received_stderr, "last");
}

TEST_F(RelayTest, SocketHalfCloseLeavesTheOtherDirectionOpen) {
  Ends ends = socket_pair();
  auto relay = Relay::of_socket(io.get_executor(), channel, std::move(ends.ours));
  relay->start();
  channel->client_sends("question");
  channel->client_eof();
  run();
  EXPECT_EQ(read_all(ends.theirs.get()), "question");
  ASSERT_EQ(::write(ends.theirs.get(), "answer", 6), 6);
  run();
  EXPECT_EQ(channel->received, "answer");
}

TEST_F(RelayTest, WhatTheClientSentBeforeItClosedStillArrives) {
  Ends ends = socket_pair();
  auto relay = Relay::of_socket(io.get_executor(), channel, std::move(ends.ours));
  relay->start();
  const std::string data(100'000, 'x');
  channel->client_sends(data);
  channel->client_eof();
  channel->client_closes();
  relay->client_left();
  std::string got;
  while (got.size() < data.size()) {
    run();
    char buffer[65536];
    const ssize_t size = ::recv(ends.theirs.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size > 0) got.append(buffer, static_cast<std::size_t>(size));
  }
  run();
  EXPECT_EQ(got, data);
  EXPECT_TRUE(at_eof_now(ends.theirs.get()));
}

TEST_F(RelayTest, ATargetThatClosedItsInputDoesNotBlockTheClient) {
  Ends input = pipe_to_workspace(), output = pipe_from_workspace(), errors = pipe_from_workspace();
  auto relay = Relay::of_pipes(io.get_executor(), channel, std::move(input.ours), std::move(output.ours), std::move(errors.ours));
  relay->start();
  input.theirs.reset();
  channel->client_sends(std::string(1'000'000, 'x'));
  run();
  EXPECT_EQ(channel->bytes_in(), 1'000'000u);
  ASSERT_EQ(::write(output.theirs.get(), "alive", 5), 5);
  run();
  EXPECT_EQ(channel->received, "alive");
}

TEST_F(RelayTest, AClientThatLeftHangsUpATerminal) {
  Ends input = pipe_to_workspace(), output = pipe_from_workspace();
  auto relay = Relay::of_terminal(io.get_executor(), channel, std::move(input.ours), std::move(output.ours));
  relay->start();
  run();
  relay->client_left();
  channel->client_closes();
  run();
  EXPECT_TRUE(at_eof_now(input.theirs.get()));
}

TEST_F(RelayTest, TheClientsEofIsNoEndOfATerminal) {
  Ends input = pipe_to_workspace(), output = pipe_from_workspace();
  auto relay = Relay::of_terminal(io.get_executor(), channel, std::move(input.ours), std::move(output.ours));
  relay->start();
  channel->client_sends("exit\n");
  channel->client_eof();
  run();
  char typed[16];
  ASSERT_EQ(::read(input.theirs.get(), typed, sizeof typed), 5);
  EXPECT_FALSE(at_eof_now(input.theirs.get()));
  ASSERT_EQ(::write(output.theirs.get(), "bye", 3), 3);
  output.theirs.reset();
  run();
  EXPECT_EQ(channel->received, "bye");
  relay->close();
}

// As under sshd: a client that goes on writing to a server which has gone must hear of it.
TEST_F(RelayTest, ASocketWhoseOtherEndHasGoneTakesNoInput) {
  Ends ends = socket_pair();
  auto relay = Relay::of_socket(io.get_executor(), channel, std::move(ends.ours));
  relay->start();
  bool output = false, input = false;
  asio::co_spawn(io, relay->output_done(), [&output](const std::exception_ptr&) { output = true; });
  asio::co_spawn(io, relay->input_done(), [&input](const std::exception_ptr&) { input = true; });
  ends.theirs.reset();
  run();
  EXPECT_TRUE(output);
  EXPECT_FALSE(input) << "the client may still have something to say";
  channel->client_sends("more");
  run();
  EXPECT_TRUE(input);
  relay->close();
  channel->client_closes();
  run();
}

TEST_F(RelayTest, AResetEndsBothWays) {
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::ip::tcp::socket ours(io), theirs(io);
  ours.connect(acceptor.local_endpoint());
  acceptor.accept(theirs);
  auto relay = Relay::of_socket(io.get_executor(), channel, FileDescriptor(ours.release()));
  relay->start();
  bool output = false, input = false;
  asio::co_spawn(io, relay->output_done(), [&output](const std::exception_ptr&) { output = true; });
  asio::co_spawn(io, relay->input_done(), [&input](const std::exception_ptr&) { input = true; });
  theirs.set_option(asio::socket_base::linger(true, 0));
  theirs.close();
  while (!output || !input) io.run_one();
  relay->close();
  channel->client_closes();
  run();
}

// The other holder of the socket makes it blocking, and lets it linger: neither may hold the lane up.
TEST_F(RelayTest, ASocketThatWasMadeBlockingHoldsNobodyUp) {
  Ends ends = socket_pair();
  FileDescriptor kept(::dup(ends.ours.get()));
  auto relay = Relay::of_socket(io.get_executor(), channel, std::move(ends.ours));
  relay->start();
  run();
  ::fcntl(kept.get(), F_SETFL, ::fcntl(kept.get(), F_GETFL) & ~O_NONBLOCK);
  channel->client_sends(std::string(8'000'000, 'x'));  // far over what the socket takes
  ASSERT_EQ(::write(ends.theirs.get(), "answer", 6), 6);
  run();
  EXPECT_EQ(channel->received, "answer");
  relay->close();
  channel->client_closes();
  run();
}

}  // namespace
}  // namespace berth::server
