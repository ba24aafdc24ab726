#include "base/notify.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

namespace berth {
namespace {

// A datagram socket on an abstract name, as systemd's may be; $NOTIFY_SOCKET names it while this lives.
class Manager {
 public:
  explicit Manager(bool abstract) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    name_ = (abstract ? "@berth-notify-" : testing::TempDir() + "berth-notify-") + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (abstract) address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ::setenv("NOTIFY_SOCKET", name_.c_str(), 1);
  }
  ~Manager() {
    ::unsetenv("NOTIFY_SOCKET");
    if (name_[0] == '/') ::unlink(name_.c_str());
  }
  std::string heard() const {
    char text[256];
    const ssize_t n = ::recv(socket_.get(), text, sizeof text, 0);
    return n < 0 ? "" : std::string(text, static_cast<std::size_t>(n));
  }

 private:
  FileDescriptor socket_;
  std::string name_;
};

TEST(Notify, TellsAnAbstractSocket) {
  const Manager manager(true);
  EXPECT_TRUE(notify_ready());
  EXPECT_EQ(manager.heard(), "READY=1");
}

TEST(Notify, TellsASocketInTheFileSystem) {
  const Manager manager(false);
  EXPECT_TRUE(notify_stopping());
  EXPECT_EQ(manager.heard(), "STOPPING=1");
  EXPECT_TRUE(notify_status("3 lanes\nREADY=0"));
  EXPECT_EQ(manager.heard(), "STATUS=3 lanes READY=0");
}

TEST(Notify, WithoutSystemdDoesNothing) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_ready());
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(notify_ready());
  ::unsetenv("NOTIFY_SOCKET");
}

TEST(Watchdog, HalfOfTheLimitForThisProcessOnly) {
  ::unsetenv("WATCHDOG_PID");
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(watchdog_interval(), std::chrono::seconds(15));
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(watchdog_interval(), std::nullopt);
  ::unsetenv("WATCHDOG_PID");
  ::setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(watchdog_interval(), std::nullopt);
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(watchdog_interval(), std::nullopt);
}

TEST(ListenSockets, AreTakenOnceAndOnlyByTheirProcess) {
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", "1", 1);
  EXPECT_TRUE(take_listen_sockets().empty());
  EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);

  // In a child, where descriptor 3 can be anything without harm to the test program.
  EXPECT_EXIT(
      {
        ::dup2(0, 3);
        ::setenv("LISTEN_FDS", "1", 1);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        const auto sockets = take_listen_sockets();
        const bool good = sockets.size() == 1 && sockets[0].get() == 3 && (::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 &&
                          take_listen_sockets().empty();
        ::_exit(good ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace berth
