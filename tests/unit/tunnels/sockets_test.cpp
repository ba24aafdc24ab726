#include <netinet/in.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/tunnels/harness.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;
using asio::ip::tcp;

class Sockets : public AgentTest {
 protected:
  static asio::awaitable<void> echo_once(tcp::acceptor& acceptor) {
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    std::array<char, 64> part;
    auto count = co_await socket.async_read_some(asio::buffer(part), asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(part, count), asio::use_awaitable);
  }
  static asio::awaitable<std::string> exchange(WorkspaceSocket fd, std::string text) {
    ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_WR);
    co_return co_await read_all(std::move(fd));
  }
};

TEST_F(Sockets, ConnectsToAServerInTheWorkspace) {
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::co_spawn(io, echo_once(acceptor), asio::detached);
  for (std::string host : {"127.0.0.1", "localhost"}) {
    auto connected = run(link->connect_tcp(host, acceptor.local_endpoint().port()));
    ASSERT_TRUE(connected) << connected.error().message;
    EXPECT_EQ(run(exchange(std::move(*connected), "hello")), "hello");
    asio::co_spawn(io, echo_once(acceptor), asio::detached);
  }
}

TEST_F(Sockets, NamesComeFromEtcHosts) {
  std::string name;
  std::ifstream hosts("/etc/hosts");
  for (std::string line; std::getline(hosts, line);) {
    std::istringstream words(line);
    std::string address, first;
    if (words >> address >> first && address.starts_with("127.") && first != "localhost") name = first;
  }
  if (name.empty()) GTEST_SKIP() << "no other name of a loopback address in /etc/hosts";
  tcp::acceptor acceptor(io, {asio::ip::address_v4::any(), 0});
  auto connected = run(link->connect_tcp(name, acceptor.local_endpoint().port()));
  EXPECT_TRUE(connected) << connected.error().message;
}

TEST_F(Sockets, ARefusedConnectionSaysSo) {
  std::uint16_t port;
  {
    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    port = acceptor.local_endpoint().port();
  }
  auto connected = run(link->connect_tcp("127.0.0.1", port));
  ASSERT_FALSE(connected);
  EXPECT_NE(connected.error().message.find("Connection refused"), std::string::npos) << connected.error().message;
  EXPECT_EQ(connected.error().kind, ErrorKind::unavailable);
}

TEST_F(Sockets, AnUnknownNameIsAnError) {
  auto connected = run(link->connect_tcp("no-such-host.invalid", 80));
  ASSERT_FALSE(connected);
  EXPECT_NE(connected.error().message.find("no-such-host.invalid"), std::string::npos);
}

TEST_F(Sockets, ListensOnUnixAndConnectsToIt) {
  std::string path = directory / "echo.sock";
  auto listening = run(link->listen_unix(path));
  ASSERT_TRUE(listening) << listening.error().message;
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  auto again = run(link->listen_unix(path));
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("in use"), std::string::npos);
  auto connected = run(link->connect_unix(path));
  ASSERT_TRUE(connected) << connected.error().message;
  auto accepted = run((*listening)->accept());
  ASSERT_TRUE(accepted);
  ::send(accepted->socket.get(), "hi", 2, MSG_NOSIGNAL);
  accepted->socket = WorkspaceSocket();
  EXPECT_EQ(run(read_all(std::move(*connected))), "hi");
  listening->reset();
  shell("true");  // the close has been handled when a later request has
  EXPECT_NE(::stat(path.c_str(), &status), 0) << "the socket is still there";
  EXPECT_FALSE(run(link->connect_unix(path)));
}

TEST_F(Sockets, ListensOnTcpAndTellsPortAndPeer) {
  auto listening = run(link->listen_tcp("localhost", 0));
  ASSERT_TRUE(listening) << listening.error().message;
  ASSERT_NE((*listening)->port(), 0);
  tcp::socket client(io);
  client.connect({asio::ip::address_v4::loopback(), (*listening)->port()});
  auto accepted = run((*listening)->accept());
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->peer_host, "127.0.0.1");
  EXPECT_EQ(accepted->peer_port, client.local_endpoint().port());
  auto taken = run(link->listen_tcp("127.0.0.1", (*listening)->port()));
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().message.find("Address already in use"), std::string::npos);
}

TEST_F(Sockets, MoreConnectionsThanCreditAllArrive) {
  auto listening = run(link->listen_tcp("", 0));
  ASSERT_TRUE(listening) << listening.error().message;
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 120; ++i) {
    clients.emplace_back(io);
    clients.back().connect({asio::ip::address_v4::loopback(), (*listening)->port()});
  }
  for (int i = 0; i < 120; ++i) {
    auto accepted = run((*listening)->accept());
    ASSERT_TRUE(accepted) << i;
    EXPECT_EQ(accepted->peer_host, "127.0.0.1");
  }
  EXPECT_TRUE(link->alive());
}

TEST_F(Sockets, DroppingAListenerWithConnectionsWaitingIsNoBreach) {
  auto listening = run(link->listen_tcp("localhost", 0));
  ASSERT_TRUE(listening);
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(io);
    clients.back().connect({asio::ip::address_v4::loopback(), (*listening)->port()});
  }
  listening->reset();
  EXPECT_EQ(shell("echo on").out, "on\n");
  EXPECT_TRUE(link->alive());
}

TEST_F(Sockets, APrivateSocketGoesWithItsDirectory) {
  auto listening = run(link->listen_private("agent"));
  ASSERT_TRUE(listening) << listening.error().message;
  const std::string path = (*listening)->path();
  const std::string directory = path.substr(0, path.rfind('/'));
  struct stat found{};
  ASSERT_EQ(::stat(directory.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  EXPECT_TRUE(path.ends_with("/agent"));
  auto connected = run(link->connect_unix(path));
  ASSERT_TRUE(connected) << connected.error().message;
  auto accepted = run((*listening)->accept());
  ASSERT_TRUE(accepted);
  listening->reset();
  EXPECT_EQ(shell("while [ -e " + directory + " ]; do sleep 0.02; done; echo gone").out, "gone\n");
  EXPECT_TRUE(link->alive());
}

TEST_F(Sockets, PrivateFilesLieBesideAListeningPort) {
  const std::string cookie("c\0o\xffkie", 7);
  auto listening = run(link->listen_tcp_private("localhost", 0, {{"Xauthority", cookie}}));
  ASSERT_TRUE(listening) << listening.error().message;
  EXPECT_NE((*listening)->port(), 0);
  const std::string file = (*listening)->path() + "/Xauthority";
  struct stat found{};
  ASSERT_EQ(::stat(file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), cookie);
  auto taken = run(link->listen_tcp_private("localhost", (*listening)->port(), {{"Xauthority", cookie}}));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::conflict);
  EXPECT_FALSE(run(link->listen_private("../evil")));
  listening->reset();
  EXPECT_EQ(shell("while [ -e " + file + " ]; do sleep 0.02; done; echo gone").out, "gone\n");
}

}  // namespace
}  // namespace berth::tunnels
