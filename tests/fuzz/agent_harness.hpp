// An Agent inside this process, fed with messages over a real socket pair. exec and service are let through only where the
// program is one of two that do nothing: a fuzzer must not run what it makes up.
#pragma once
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "agent/agent.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent::fuzz {

class AgentHarness {
 public:
  AgentHarness() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, nullptr);
    children_.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    loop_.watch(children_.get(), EPOLLIN, [this](std::uint32_t) {
      signalfd_siginfo info;
      while (::read(children_.get(), &info, sizeof info) > 0) agent_.child_ended();
    });
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) std::abort();
    ours_.reset(pair[0]);
    Connection::Handlers handlers{[this](const auto& connection, std::string_view text, Descriptors descriptors) {
                                    agent_.handle(connection, text, std::move(descriptors));
                                  },
                                  [](const auto&) {}};
    connection_ = std::make_shared<Connection>(loop_, FileDescriptor(pair[1]), std::move(handlers));
    connection_->start();
  }

  void feed(std::string_view text) {
    if (text.empty() || text.size() > tunnels::wire::kMaxMessage || !harmless(text)) return;
    // Pipes as berthd sends them; how many are right depends on the message.
    int ends[4];
    if (::pipe2(ends, O_CLOEXEC) < 0 || ::pipe2(ends + 2, O_CLOEXEC) < 0) std::abort();
    const FileDescriptor pipes[] = {FileDescriptor(ends[0]), FileDescriptor(ends[1]), FileDescriptor(ends[2]), FileDescriptor(ends[3])};
    const int theirs[] = {ends[0], ends[3], ends[3]};
    tunnels::wire::send(ours_.get(), text, std::span(theirs).first(text.size() % 7 == 0 ? 1 : text.find("pty") != text.npos || text.find("attach") != text.npos ? 2 : 3));
    turn();
    while (tunnels::wire::receive(ours_.get(), buffer_).status == tunnels::wire::Status::ok) {
    }
  }

  // Whether the agent still answers; then all that it started is ended.
  bool finish() {
    bool answered = false;
    tunnels::wire::send(ours_.get(), R"({"type":"report","op":77777777})");
    for (int tries = 0; tries < 1000 && !answered; ++tries) {
      turn();
      for (;;) {
        auto received = tunnels::wire::receive(ours_.get(), buffer_);
        if (received.status != tunnels::wire::Status::ok) break;
        answered = answered || received.text.find("77777777") != received.text.npos;
      }
    }
    agent_.stop();
    loop_.run();
    return answered;
  }

 private:
  // Lets the loop run what is ready.
  void turn() {
    loop_.after(std::chrono::milliseconds(0), [this] { loop_.pause(); });
    loop_.run();
  }

  static bool harmless(std::string_view text) {
    if (!tunnels::wire::shallow(text)) return true;
    auto message = nlohmann::json::parse(text, nullptr, false);
    if (!message.is_object() || !message.contains("type")) return true;
    const auto& type = message["type"];
    if (type == "connect" || type == "listen") {  // no names to look up, no files to make
      bool local = !message.contains("path") || (type == "connect");
      return local && (!message.contains("host") || message["host"] == "127.0.0.1" || message["host"] == "localhost" || !message["host"].is_string());
    }
    if (type != "exec" && type != "service") return true;
    if (message.contains("argv")) {
      const auto& argv = message["argv"];
      return !argv.is_array() || argv.empty() || !argv[0].is_string() || argv[0] == "true" || argv[0] == "false";
    }
    return type == "service" || (message.contains("command") && (!message["command"].is_string() || message["command"] == "exit 3"));
  }

  Loop loop_;
  FileDescriptor children_, ours_;
  std::shared_ptr<Connection> connection_;
  Agent agent_{loop_, "/nowhere/agent.sock", User{"fuzz", "/", "/bin/sh"}};
  std::array<char, tunnels::wire::kMaxMessage + 1> buffer_;
};

}  // namespace berth::agent::fuzz
