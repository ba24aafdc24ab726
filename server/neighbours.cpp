#include "server/neighbours.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "server/gateway/spawn.hpp"
#include "tunnels/wire.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace wire = tunnels::wire;
using asio::posix::stream_descriptor;
using nlohmann::json;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kSecond{1};
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::int64_t kMostLimit = 365LL * 86400;
constexpr mode_t kSocketMode = 0600;

}  // namespace

struct Neighbours::Neighbour {
  Neighbour(asio::io_context& io, int fd) : socket(io, fd) {}
  stream_descriptor socket;
  web::Instance who;   // its instance is empty until it has said hello
};

Neighbours::Neighbours(asio::io_context& io, const std::filesystem::path& run_dir, int lock, Events events)
    : io_(io), run_dir_(run_dir), lock_(lock), events_(std::move(events)), second_(io) {}

Neighbours::~Neighbours() = default;

Result<void> Neighbours::start(std::vector<Found> found) {
  auto listener = tunnels::AgentListener::open(io_.get_executor(), neighbour_socket(run_dir_, events_.self().instance).string(), kSocketMode);
  if (!listener) return listener.error();
  listener_.emplace(std::move(*listener));
  spawn_logged(io_.get_executor(), accept(), "neighbours.accept");
  spawn_logged(io_.get_executor(), tell_each_second(), "neighbours.status");
  for (Found& one : found) {
    auto neighbour = std::make_shared<Neighbour>(io_, one.socket.release());
    neighbour->who = std::move(one.who);
    neighbours_.push_back(neighbour);
    spawn_logged(io_.get_executor(), serve(neighbour, false), "neighbours.serve");
  }
  return {};
}

void Neighbours::close() {
  closed_ = true;
  if (listener_) listener_->close();
  second_.cancel();
  boost::system::error_code ignored;
  for (const NeighbourPtr& neighbour : neighbours_) neighbour->socket.close(ignored);
}

std::vector<web::Instance> Neighbours::all() const {
  std::vector<web::Instance> list{events_.self()};
  const std::lock_guard lock(mutex_);
  for (const NeighbourPtr& neighbour : neighbours_) {
    // One that has only just come does not serve yet, and may never.
    if (!neighbour->who.instance.empty() && (neighbour->who.draining || list.front().draining)) list.push_back(neighbour->who);
  }
  return list;
}

bool Neighbours::any() const {
  const std::lock_guard lock(mutex_);
  return !neighbours_.empty();
}

void Neighbours::tell_all(std::string_view type) {
  for (const NeighbourPtr& neighbour : neighbours_) {
    if (neighbour->socket.is_open()) (void)wire::send(neighbour->socket.native_handle(), json{{"type", type}}.dump());
  }
}

asio::awaitable<void> Neighbours::accept() {
  asio::steady_timer pause(io_);
  for (;;) {
    auto socket = co_await listener_->accept();
    if (!socket && socket.error().kind == ErrorKind::closed) co_return;
    if (!socket) {
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(kTuple);
      continue;
    }
    if (!is_own_user(socket->get())) continue;
    auto neighbour = std::make_shared<Neighbour>(io_, socket->release());
    {
      const std::lock_guard lock(mutex_);
      neighbours_.push_back(neighbour);
    }
    spawn_logged(io_.get_executor(), serve(neighbour, true), "neighbours.serve");
  }
}

// Waits for room while the other end does not read; false: it is gone.
asio::awaitable<bool> Neighbours::send(NeighbourPtr neighbour, json message, int descriptor) {
  const std::string text = message.dump();
  const std::vector<int> descriptors(descriptor >= 0 ? 1 : 0, descriptor);
  while (neighbour->socket.is_open()) {
    const wire::Sent sent = wire::send(neighbour->socket.native_handle(), text, descriptors);
    if (sent.status == wire::Status::ok) co_return true;
    if (sent.status != wire::Status::again) co_return false;
    auto [error] = co_await neighbour->socket.async_wait(stream_descriptor::wait_write, kTuple);
    if (error) co_return false;
  }
  co_return false;
}

asio::awaitable<void> Neighbours::serve(NeighbourPtr neighbour, bool greet) {
  bool goes_on = true;
  if (greet) {
    json hello = to_message("hello", events_.self());
    goes_on = co_await send(neighbour, std::move(hello), lock_);
  }
  std::vector<char> buffer(wire::kMaxMessage + 1);
  while (goes_on && neighbour->socket.is_open()) {
    const wire::Received received = wire::receive(neighbour->socket.native_handle(), buffer);
    if (received.status == wire::Status::again) {
      auto [error] = co_await neighbour->socket.async_wait(stream_descriptor::wait_read, kTuple);
      goes_on = !error;
    } else if (received.status == wire::Status::ok) {
      std::string text(received.text);
      goes_on = co_await take(neighbour, std::move(text));
    } else {
      goes_on = false;
    }
  }
  boost::system::error_code ignored;
  neighbour->socket.close(ignored);
  {
    const std::lock_guard lock(mutex_);
    std::erase(neighbours_, neighbour);
  }
  if (closed_ || neighbour->who.instance.empty()) co_return;
  log_info("berthd.neighbour_gone", {{"pid", neighbour->who.pid}, {"version", neighbour->who.version}});
  events_.gone(neighbour->who.instance);
}

bool Neighbours::know(const NeighbourPtr& neighbour, const json& message) {
  const std::lock_guard lock(mutex_);
  read_message(message, neighbour->who);
  return !neighbour->who.instance.empty();
}

// False: nothing more is to be heard from it.
asio::awaitable<bool> Neighbours::take(NeighbourPtr neighbour, std::string text) {
  if (!wire::shallow(text)) co_return false;
  const json message = json::parse(text, nullptr, false);
  if (!message.is_object()) co_return false;
  const std::string type = text_of(message, "type");
  if (type == "hello" || type == "status") co_return know(neighbour, message);
  if (neighbour->who.instance.empty()) co_return false;
  if (type == "sockets") {
    const bool given = co_await give_sockets(neighbour);
    co_return given;
  }
  if (type == "taken") {
    const std::chrono::seconds limit(std::clamp<std::int64_t>(number_of(message, "limit_s"), 0, kMostLimit));
    json answer{{"type", events_.taken(neighbour->who, limit) ? "draining" : "refused"}};
    bool told = co_await send(neighbour, std::move(answer));
    json status = to_message("status", events_.self());
    if (told) told = co_await send(neighbour, std::move(status));
    co_return told;
  }
  if (type == "agents") events_.agents();
  if (type == "stop") events_.stop();
  co_return true;
}

asio::awaitable<bool> Neighbours::give_sockets(NeighbourPtr neighbour) {
  const Offer offer = events_.offer();
  for (const FileDescriptor& socket : offer.sockets) {
    json message{{"type", "socket"}};
    const bool sent = co_await send(neighbour, std::move(message), socket.get());
    if (!sent) co_return false;
  }
  json end{{"type", "end"}, {"notify_socket", offer.notify_socket}, {"watchdog_us", offer.watchdog_us}};
  const bool ended = co_await send(neighbour, std::move(end));
  co_return ended;
}

asio::awaitable<void> Neighbours::tell_each_second() {
  while (!closed_) {
    second_.expires_after(kSecond);
    co_await second_.async_wait(kTuple);
    if (closed_ || neighbours_.empty()) continue;
    const std::string status = to_message("status", events_.self()).dump();
    for (const NeighbourPtr& neighbour : neighbours_) {
      if (neighbour->socket.is_open()) (void)wire::send(neighbour->socket.native_handle(), status);
    }
  }
}

}  // namespace berth::server
