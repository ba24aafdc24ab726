// A command on its thread, its channel on a lane: bytes both ways, and that leaving ends it.
#include "server/gateway/command_bridge.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <istream>
#include <ostream>
#include <thread>

#include "server/gateway/command_streams.hpp"
#include "server/gateway/command_threads.hpp"

namespace berth::server {
namespace {
namespace asio = boost::asio;

class CommandBridgeTest : public testing::Test {
 protected:
  CommandBridgeTest() : guard_(asio::make_work_guard(io)), lane_([this] { io.run(); }) {}
  ~CommandBridgeTest() override {
    guard_.reset();
    lane_.join();
  }
  // What the client would get, to the end of the command.
  static asio::awaitable<void> collect(std::shared_ptr<CommandBridge> from, std::promise<std::string>& all) {
    std::string text;
    for (;;) {
      std::optional<CommandBridge::Output> piece = co_await from->next_output();
      if (!piece) break;
      text += (piece->as_stderr ? "!" : "") + piece->text;
    }
    all.set_value(text);
  }
  static asio::awaitable<void> feed(std::shared_ptr<CommandBridge> to, std::string text, bool ahead) {
    for (const char byte : text) {
      const bool wanted = co_await to->input_wanted(ahead);
      if (!wanted) co_return;
      to->give_input({&byte, 1});
    }
    to->end_input();
  }
  std::future<std::string> collected() {
    asio::co_spawn(io, collect(bridge, all_), asio::detached);
    return all_.get_future();
  }

  asio::io_context io;
  std::shared_ptr<CommandBridge> bridge = std::make_shared<CommandBridge>(io.get_executor(), [this](FileDescriptor socket) { served = std::move(socket); });
  FileDescriptor served;

 private:
  std::promise<std::string> all_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread lane_;
};

TEST_F(CommandBridgeTest, LinesGoThroughAndATerminalGetsCarriageReturns) {
  asio::co_spawn(io, feed(bridge, "one\r", true), asio::detached);
  auto all = collected();
  ChannelInput input(*bridge, true);
  ChannelOutput output(*bridge, false, true);
  std::istream in(&input);
  std::ostream out(&output);
  std::string line;
  std::getline(in, line);
  out << "got " << line << "\n" << std::flush;
  bridge->finish(0);
  std::string text = all.get();
  text.erase(std::remove(text.begin(), text.end(), '!'), text.end());
  EXPECT_EQ(text, "one\r\ngot one\r\n");
  EXPECT_EQ(bridge->exit_code(), 0);
}

TEST_F(CommandBridgeTest, InputIsReadOnlyWhenItIsAskedFor) {
  asio::co_spawn(io, feed(bridge, "abc", false), asio::detached);
  ChannelInput input(*bridge, false);
  std::istream in(&input);
  std::string all;
  in >> all;
  EXPECT_EQ(all, "abc");
  EXPECT_TRUE(in.eof());
}

TEST_F(CommandBridgeTest, AWriterWaitsForASlowClientAndEndsWhenItLeaves) {
  std::thread command([this] {
    std::size_t written = 0;
    while (bridge->write(std::string(4096, 'x'), false)) written += 4096;
    EXPECT_LE(written, 64U * 1024 + 4096);
  });
  bridge->give_up();
  command.join();
}

TEST_F(CommandBridgeTest, LeavingCutsTheConnectionToTheApi) {
  Result<FileDescriptor> ours = bridge->connect();
  ASSERT_TRUE(ours);
  bridge->give_up();
  char byte = 0;
  EXPECT_EQ(::recv(ours->get(), &byte, 1, 0), 0);
  EXPECT_TRUE(bridge->connect().has_error());
  EXPECT_TRUE(bridge->read().empty());
}

TEST_F(CommandBridgeTest, FewRunAtOnceAndFewerOfOneUser) {
  CommandThreads threads;
  std::vector<std::shared_ptr<CommandBridge>> bridges;
  const auto start = [&](const std::string& user) {
    auto own = std::make_shared<CommandBridge>(io.get_executor(), [](FileDescriptor) {});
    bridges.push_back(own);
    return threads.run(user, own, [own] { (void)own->read(); });
  };
  for (std::size_t i = 0; i < CommandThreads::kMostOfOneUser; ++i) EXPECT_TRUE(start("ada"));
  EXPECT_EQ(start("ada").error().kind, ErrorKind::unavailable);
  for (std::size_t i = CommandThreads::kMostOfOneUser; i < CommandThreads::kMost; ++i) EXPECT_TRUE(start("user" + std::to_string(i)));
  EXPECT_EQ(start("zoe").error().kind, ErrorKind::unavailable);
  threads.stop();
  EXPECT_EQ(start("ada").error().kind, ErrorKind::unavailable);
}

}  // namespace
}  // namespace berth::server
