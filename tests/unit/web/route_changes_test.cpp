// A workspace stops and starts, a port is opened, a key is revoked: what goes on beside that loses no byte.
#include <sys/socket.h>

#include <atomic>

#include "tests/unit/web/proxy_fixture.hpp"

namespace berth::web {
namespace {

constexpr int kBlocks = 40;
constexpr std::size_t kBlock = 1 << 20;  // much more than sockets hold in all: the download is under way until it is read to its end

// Each block of a download is another.
std::string block(int number) {
  std::string bytes;
  bytes.reserve(kBlock + 256);
  for (int line = 0; bytes.size() < kBlock; ++line) bytes += std::to_string(number) + "/" + std::to_string(line) + std::string(200, static_cast<char>('a' + (number + line) % 26)) + "\n";
  bytes.resize(kBlock);
  return bytes;
}

// A browser with a WebSocket and a long download, and the servers of both.
class Bystander {
 public:
  Bystander(Wire download, Wire server, std::pair<Wire, Wire> websocket)
      : download_(std::move(download)), server_(std::move(server)), websocket_(std::move(websocket)), sender_([this] { send_all(); }) {
    EXPECT_EQ(download_.receive_until("\r\n\r\n").rfind("HTTP/1.1 200 ", 0), 0u);
  }
  ~Bystander() {
    ::shutdown(server_.fd(), SHUT_RDWR);  // the sender may still wait, where something has failed
    sender_.join();
  }
  void goes_on() {
    if (next_ < kBlocks) {
      EXPECT_TRUE(download_.receive_exactly(kBlock) == block(next_)) << "block " << next_;
    }
    ++next_;
    const std::string said = "message " + std::to_string(next_) + std::string(5'000, '.');
    websocket_.first.send(said);
    EXPECT_EQ(websocket_.second.receive_exactly(said.size()), said);
    websocket_.second.send(said);
    EXPECT_EQ(websocket_.first.receive_exactly(said.size()), said);
  }
  void ends_well() {
    EXPECT_FALSE(all_sent_) << "the download was not under way any more";
    while (next_ < kBlocks) goes_on();
    EXPECT_EQ(download_.receive_all(), "");
    websocket_.first.finish_sending();
    EXPECT_TRUE(websocket_.second.ended());
  }

 private:
  void send_all() {
    server_.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(kBlocks * kBlock) + "\r\n\r\n");
    for (int i = 0; i < kBlocks; ++i) server_.send(block(i));
    all_sent_ = true;
  }
  Wire download_, server_;
  std::pair<Wire, Wire> websocket_;
  int next_ = 0;
  std::atomic<bool> all_sent_{false};
  std::thread sender_;
};

class RouteChanges : public Proxy {
 protected:
  std::unique_ptr<Bystander> watch(const Login& login, const std::string& workspace) {
    const std::string mine = std::exchange(cookie, cross(login, workspace)), place = login.user + "/" + workspace;
    open_page(app, place);
    auto websocket = open_websocket(login.user, workspace);
    Wire download = workspaces();
    download.send(request("GET", path("/file", place), headers("Connection: close\r\n")));
    Wire sender = app.accept();
    sender.receive_until("\r\n\r\n");
    cookie = mine;
    return std::make_unique<Bystander>(std::move(download), std::move(sender), std::move(websocket));
  }
  // Somebody opens a page of their workspace, which starts it where it does not run.
  void open_page(Upstream& listener, const std::string& place = "ada/main") {
    Wire browser = workspaces();
    browser.send(request("GET", "/w/" + place + "/port/" + std::to_string(listener.port()) + "/", headers("Accept: text/html\r\nConnection: close\r\n")));
    Wire inside = listener.accept();
    inside.receive_until("\r\n\r\n");
    inside.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nup");
    EXPECT_EQ(browser.answer().body, "up");
  }
};

TEST_F(RouteChanges, TouchNothingElse) {
  auto own = watch(login_by_another_key("ada"), "other");
  auto bob = watch(login("bob"), "main");
  const auto both_go_on = [&] {
    own->goes_on();
    bob->goes_on();
  };
  both_go_on();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(admin_call("POST", "/api/v1/workspaces/ada/main/stop").status / 100, 2);
    EXPECT_EQ(get_workspace(path("/"), headers()).status, 503);
    both_go_on();
    open_page(app);
    both_go_on();
  }
  Upstream another_port;
  open_page(another_port);
  both_go_on();
  auto [browser, inside] = open_websocket();
  EXPECT_EQ(admin_call("DELETE", key_path(ada)).json()["ended_sessions"], 1);
  EXPECT_EQ(browser.receive_all(), "");
  EXPECT_EQ(get_workspace(path("/"), headers()).status, 401);
  both_go_on();
  own->ends_well();
  bob->ends_well();
}

}  // namespace
}  // namespace berth::web
