// What an agent that its user replaced can do with descriptors: those that it is sent, and those that it sends.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "tests/unit/tunnels/hostile_agent.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// What a descriptor refers to, "socket:[4711]", and how many of ours do.
std::string target_of(const FileDescriptor& descriptor) { return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor.get())); }
int descriptors_of(const std::string& target) {
  int count = 0;
  std::error_code closed_meanwhile;
  for (auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) count += std::filesystem::read_symlink(entry, closed_meanwhile) == target ? 1 : 0;
  return count;
}

TEST_F(HostileAgent, WhatBerthdReadsAndWritesTheAgentNeverHolds) {
  begin_exec();
  EXPECT_EQ(asked()["type"], "exec");
  ASSERT_EQ(descriptors.size(), 3u);
  say(R"({"type":"done","op":1,"pid":7})");
  settle();
  ASSERT_TRUE(process);
  for (auto& theirs_end : descriptors) {  // what it can do to what it has
    ::fcntl(theirs_end.get(), F_SETFL, ::fcntl(theirs_end.get(), F_GETFL) & ~O_NONBLOCK);
    ::fcntl(theirs_end.get(), F_SETPIPE_SZ, 4096);
  }
  FileDescriptor ends[] = {process->take_stdin(), process->take_stdout(), process->take_stderr()};
  for (auto& end : ends) {
    struct stat status{};
    ASSERT_EQ(::fstat(end.get(), &status), 0);
    EXPECT_TRUE(S_ISFIFO(status.st_mode)) << "a pipe carries no descriptors";
    EXPECT_TRUE(::fcntl(end.get(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(::fcntl(end.get(), F_GETFD) & FD_CLOEXEC);
  }
  EXPECT_FALSE(process->take_stdin()) << "each can be taken once";
  char byte = 0;
  EXPECT_EQ(::read(ends[1].get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(HostileAgent, ATerminalIsTwoPipesOfOurs) {
  begin_exec(true);
  EXPECT_EQ(asked()["pty"]["keep_s"], 0);
  ASSERT_EQ(descriptors.size(), 2u);
  say(R"({"type":"done","op":1,"pid":7,"terminal":"ab12"})");
  settle();
  ASSERT_TRUE(process);
  EXPECT_EQ(process->terminal(), "ab12");
  EXPECT_TRUE(::fcntl(process->take_stdin().get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(process->take_stdout().get(), F_GETFL) & O_NONBLOCK);
}

// Three descriptors each, of 768 that may be on their way: the rest wait for their turn and are not refused.
TEST_F(HostileAgent, ACrowdWaitsForItsTurn) {
  for (int i = 0; i < 300; ++i) begin_exec();
  for (int i = 1; i <= 256; ++i) EXPECT_EQ(asked()["op"], i);
  EXPECT_TRUE(asked().is_null());
  EXPECT_FALSE(answered);
  for (int i = 1; i <= 44; ++i) {
    say(R"({"type":"done","pid":7,"op":)" + std::to_string(i) + "}");
    EXPECT_EQ(asked()["op"], 256 + i);
  }
  EXPECT_TRUE(asked().is_null());
  EXPECT_TRUE(link->alive());
  theirs.reset();
  settle();
  EXPECT_EQ(error.kind, ErrorKind::closed);
}

// A TCP connection whose other end takes nothing, with bytes on their way and lingering: its last close would wait for minutes.
struct Lingering {
  Lingering() {
    FileDescriptor listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in here{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof here;
    const int small = 4096;
    ::setsockopt(listening.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (::bind(listening.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) < 0 || ::listen(listening.get(), 1) < 0) std::abort();
    ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&here), &size);
    near.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(near.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) < 0) std::abort();
    far.reset(::accept(listening.get(), nullptr, nullptr));
    const std::string load(1 << 20, 'x');
    while (::send(near.get(), load.data(), load.size(), MSG_DONTWAIT) > 0) {
    }
    linger on{1, 600};
    ::setsockopt(near.get(), SOL_SOCKET, SO_LINGER, &on, sizeof on);
  }
  FileDescriptor near, far;
};

// Each case would hold this thread up for ten minutes, which the test's time limit shows.
TEST_F(HostileAgent, DescriptorsThatLingerHoldNobodyUp) {
  auto connect = [](HostileAgent& test) -> asio::awaitable<void> {
    std::string host = "127.0.0.1";
    auto connected = co_await test.link->connect_tcp(host, 80);
    test.answered = connected.has_value();
  };
  {  // handed over as asked, made blocking, and given up
    asio::co_spawn(io, connect(*this), asio::detached);
    asked();
    Lingering socket;
    say(R"({"type":"done","op":1})", {socket.near.get()});
    ::fcntl(socket.near.get(), F_SETFL, 0);
    socket.near.reset();
    settle();
    EXPECT_TRUE(answered);
    EXPECT_TRUE(link->alive());
  }
  {  // never asked for: the link is refused
    Lingering socket;
    begin_exec();
    say(R"({"type":"done","op":2,"pid":1})", {socket.near.get()});
    socket.near.reset();
    settle();
    EXPECT_FALSE(link->alive());
  }
  {  // still on its way when the link is closed
    SetUp();
    Lingering socket;
    say("unread", {socket.near.get()});
    socket.near.reset();
    link.reset();
    settle();
  }
}

TEST_F(HostileAgent, ASocketPassesNoDescriptorsOn) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  FileDescriptor ours(pair[0]), its(pair[1]);
  Lingering socket;
  const std::string passed = target_of(socket.near);
  wire::send(its.get(), "data", std::vector<int>{socket.near.get()});
  EXPECT_EQ(descriptors_of(passed), 1);
  socket.near.reset();
  char bytes[16];
  EXPECT_EQ(receive_some(ours.get(), bytes, sizeof bytes), 4);
  EXPECT_EQ(receive_some(ours.get(), bytes, sizeof bytes), -1);
  EXPECT_EQ(errno, EAGAIN);
  // By what it refers to: of other tests some descriptors may still be closing.
  for (int tries = 0; tries < 5000 && descriptors_of(passed) != 0; ++tries) ::usleep(1000);
  EXPECT_EQ(descriptors_of(passed), 0);
}

TEST_F(HostileAgent, OneThatNeverAnswersIsSentOnlySoManyDescriptors) {
  int asked_for = 0;
  while (!answered && asked_for < 1000) {
    begin_exec();
    ++asked_for;
    while (asked().is_object()) {
    }
  }
  EXPECT_EQ(error.kind, ErrorKind::unavailable);
  EXPECT_EQ(asked_for, 256 + 512 + 1) << "sent, waiting for their turn, refused";
  EXPECT_TRUE(link->alive());
}

TEST_F(HostileAgent, DescriptorsThatWereNotAskedForCloseTheLinkAndAreClosed) {
  Pipes pipes;
  FileDescriptor file(::open("/etc/passwd", O_RDONLY)), directory(::open("/", O_PATH)), datagram(::socket(AF_UNIX, SOCK_DGRAM, 0));
  int in = pipes.in_write.get(), out = pipes.out_read.get();
  const std::vector<int> wrong[] = {{in}, {in, out, out}, {file.get()}, {directory.get(), out}, {datagram.get()}};
  int before = 0;
  for (const auto& unasked : wrong) {
    for (bool pty : {false, true}) {
      answered = false;
      closed = 0;
      link.reset();
      SetUp();
      begin_exec(pty);
      asked();
      descriptors.clear();
      say(R"({"type":"done","op":1,"pid":1,"terminal":"ab"})", unasked);
      expect_refused();
      if (!before) before = open_descriptors();
      for (int tries = 0; tries < 5000 && open_descriptors() > before; ++tries) ::usleep(1000);  // closed elsewhere
      EXPECT_LE(open_descriptors(), before) << "a descriptor leaked";
    }
  }
}

TEST_F(HostileAgent, OnlyAConnectedStreamIsASocket) {
  FileDescriptor listening(::socket(AF_UNIX, SOCK_STREAM, 0)), datagram(::socket(AF_INET, SOCK_DGRAM, 0)), pipe_end(::dup(0));
  sockaddr_un anywhere{AF_UNIX, ""};
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&anywhere), sizeof(sa_family_t)), 0);
  ASSERT_EQ(::listen(listening.get(), 1), 0);
  auto connect = [](HostileAgent& test) -> asio::awaitable<void> {
    std::string host = "127.0.0.1";
    auto connected = co_await test.link->connect_tcp(host, 80);
    test.answered = !connected;
  };
  for (int wrong : {listening.get(), datagram.get(), pipe_end.get()}) {
    answered = false;
    closed = 0;
    link.reset();
    SetUp();
    asio::co_spawn(io, connect(*this), asio::detached);
    EXPECT_EQ(asked()["type"], "connect");
    say(R"({"type":"done","op":1})", {wrong});
    expect_refused();
  }
}

TEST_F(HostileAgent, ADescriptorFloodLeaksNothingAndEndsTheOperation) {
  begin_exec();
  asked();
  int before = open_descriptors();
  // 200 at once, past wire::send, which would refuse.
  std::vector<int> flood(200, 1);
  std::vector<char> control(CMSG_SPACE(sizeof(int) * flood.size()));
  std::string text = R"({"type":"done","op":1,"pid":1})";
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * flood.size());
  std::memcpy(CMSG_DATA(header), flood.data(), sizeof(int) * flood.size());
  ASSERT_GT(::sendmsg(theirs.get(), &message, 0), 0);
  settle();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(process);
  descriptors.clear();
  for (int tries = 0; tries < 5000 && open_descriptors() > before; ++tries) ::usleep(1000);  // closed elsewhere
  EXPECT_LE(open_descriptors(), before);
}

}  // namespace
}  // namespace berth::tunnels
