#include "agent/dialer.hpp"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tunnels/wire.hpp"

namespace berth::agent {
namespace wire = tunnels::wire;

namespace {

std::string random_name() {
  unsigned char bytes[8] = {};
  if (::getrandom(bytes, sizeof bytes, GRND_NONBLOCK) < 0) {  // only to tell runs apart, not a secret
    auto now = std::chrono::system_clock::now().time_since_epoch().count();
    std::memcpy(bytes, &now, std::min(sizeof now, sizeof bytes));
  }
  std::string name;
  for (unsigned char byte : bytes) {
    name += "0123456789abcdef"[byte >> 4];
    name += "0123456789abcdef"[byte & 15];
  }
  return name;
}

FileDescriptor connect_to(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return {};
  return socket;
}

}  // namespace

Dialer::Dialer(Loop& loop, std::string path, Handlers handlers)
    : loop_(loop), path_(std::move(path)), instance_(random_name()), handlers_(std::move(handlers)) {}

void Dialer::start() {
  watch_directory();
  dial();
}

// A berthd that comes back makes its socket anew: told by inotify, the agent is there in milliseconds instead of at the
// end of its back-off. Without inotify (a user's instances are limited) the back-off alone does it.
void Dialer::watch_directory() {
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  std::string directory = path_.substr(0, path_.find_last_of('/') + 1);
  if (!inotify_ || ::inotify_add_watch(inotify_.get(), directory.c_str(), IN_CREATE | IN_ATTRIB | IN_MOVED_TO) < 0) return;
  loop_.watch(inotify_.get(), EPOLLIN, [this](std::uint32_t) {
    alignas(inotify_event) char events[4096];
    while (::read(inotify_.get(), events, sizeof events) > 0) {
    }
    if (stopped_ || greeting_ || welcomed_.size() >= wanted_) return;
    backoff_ = kFirstBackoff;
    loop_.cancel(retry_);
    dial();
  });
}

void Dialer::dial() {
  if (stopped_ || greeting_ || welcomed_.size() >= wanted_) return;
  auto socket = connect_to(path_);
  if (!socket) return dial_later();
  Connection::Handlers handlers{
      [this](const auto& connection, std::string_view text, Descriptors descriptors) { on_message(connection, text, std::move(descriptors)); },
      [this](const auto& connection) { on_closed(connection); }};
  greeting_ = std::make_shared<Connection>(loop_, std::move(socket), std::move(handlers));
  greeting_->start();
  nlohmann::json hello{{"type", "hello"}, {"protocol", wire::kProtocol}, {"version", BERTH_VERSION},
                       {"instance", instance_}, {"pid", ::getpid()}};
  greeting_->send(hello.dump());
  welcome_limit_ = loop_.after(kWelcomeLimit, [this] {
    if (greeting_) greeting_->close();
  });
}

void Dialer::dial_later() {
  if (stopped_) return;
  loop_.cancel(retry_);
  retry_ = loop_.after(backoff_, [this] { dial(); });
  backoff_ = std::min(backoff_ * 2, kLastBackoff);
}

bool Dialer::take_welcome(std::string_view text) {
  if (!wire::shallow(text)) return false;
  auto message = nlohmann::json::parse(text, nullptr, false);
  if (!message.is_object()) return false;
  auto type = message.find("type"), lanes = message.find("lanes");
  if (type == message.end() || *type != "welcome" || lanes == message.end() || !lanes->is_number_unsigned()) return false;
  wanted_ = std::clamp<std::size_t>(lanes->get<std::size_t>(), 1, kMaxLanes);
  return true;
}

void Dialer::on_message(const std::shared_ptr<Connection>& connection, std::string_view text, Descriptors descriptors) {
  if (connection != greeting_) return handlers_.request(connection, text, std::move(descriptors));
  loop_.cancel(welcome_limit_);
  if (!take_welcome(text)) return connection->close();
  welcomed_.push_back(std::move(greeting_));
  backoff_ = kFirstBackoff;
  dial();
}

void Dialer::dial_another(std::uint64_t connection_id) {
  const auto found = std::find_if(welcomed_.begin(), welcomed_.end(), [&](const auto& connection) { return connection->id() == connection_id; });
  if (found == welcomed_.end()) return;
  replaced_.push_back(std::move(*found));
  welcomed_.erase(found);
  if (welcomed_.empty()) wanted_ = 1;  // the new one says how many lanes it has
  backoff_ = kFirstBackoff;
  loop_.cancel(retry_);
  dial();
}

void Dialer::on_closed(const std::shared_ptr<Connection>& connection) {
  if (connection == greeting_) {
    loop_.cancel(welcome_limit_);
    greeting_.reset();
  } else if (std::erase(replaced_, connection) > 0) {
    handlers_.lost(connection);
    return;
  } else {
    std::erase(welcomed_, connection);
    handlers_.lost(connection);
    // With none left berthd is gone, and what it comes back with says how many lanes it has.
    if (welcomed_.empty()) wanted_ = 1;
  }
  dial_later();
}

void Dialer::stop() {
  stopped_ = true;
  loop_.cancel(retry_);
  if (greeting_) greeting_->close();
  while (!welcomed_.empty()) welcomed_.back()->close();
  while (!replaced_.empty()) replaced_.back()->close();
}

}  // namespace berth::agent
