#include "tests/fuzz/ssh_session.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "tests/fuzz/ssh_wire.hpp"

// sanitizer/allocator_interface.h, which Debian's g++ does not bring: bytes.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
// An hour after the start, so that nothing is before the beginning of time.
std::chrono::nanoseconds g_now{std::chrono::hours(1)};
}  // namespace

// In place of the library's, for this program: time stands still until the input says otherwise.
std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept { return time_point(g_now); }

namespace berth::ssh::fuzz {

namespace {

constexpr int kSmallSocketBuffer = 16 * 1024;  // so that a client that does not read is felt soon
// Beyond what lies in windows: output for a peer that does not read (twice the caps, as a string grows), what it may queue as requests, and the rest.
constexpr std::size_t kMemory = 24 << 20;

}  // namespace

void advance_time(std::chrono::milliseconds by) { g_now += by; }

std::shared_ptr<const ServerOptions> fuzz_options() {
  static const std::shared_ptr<const ServerOptions> options = [] {
    auto made = std::make_shared<ServerOptions>();
    made->host_keys = {generate_host_key("ed25519").value()};
    return made;
  }();
  return options;
}

std::string auth_request(std::string_view user, std::string_view method, std::string_view blob, std::optional<Signature> signature) {
  WireWriter packet(kMsgUserauthRequest);
  packet.string(user).string("ssh-connection").string(method);
  if (method != "publickey") return packet.bytes();
  packet.boolean(signature.has_value()).string("ssh-ed25519").string(blob);
  if (signature) packet.string(std::string(1, static_cast<char>(*signature)));
  return packet.bytes();
}

// The application's tasks, each a coroutine of its own.
struct World::Work {
  static asio::awaitable<void> run(World& world, tcp::socket socket, std::shared_ptr<const ServerOptions> options) {
    Result<std::shared_ptr<Session>> session = co_await Session::handshake(std::move(socket), options);
    if (!session) co_return;
    world.session_ = *session;
    for (;;) {
      Result<std::shared_ptr<ssh::Channel>> channel = co_await (*session)->next_channel();
      if (!channel) co_return;
      MUST(world.client_->logged_in || world.client_->accepted_signed);
      world.held_.push_back(std::make_shared<Held>(Held{std::move(*channel)}));
    }
  }
  static asio::awaitable<void> auth(World& world, std::shared_ptr<Session> session, bool accept) {
    const Result<AuthRequest> request = co_await session->next_auth_request();
    world.answering_auth_ = false;
    if (!request) co_return;
    MUST(!request->is_signed || wire().verified.contains(request->key.blob));
    if (accept && request->is_signed && request->method == "publickey") world.client_->accepted_signed = true;
    session->answer_auth(accept);
  }
  static asio::awaitable<void> global(World& world, std::shared_ptr<Session> session, bool success, std::uint32_t port) {
    const Result<GlobalRequest> request = co_await session->next_global_request();
    world.answering_global_ = false;
    if (request) session->reply_global(success, port);
  }
  static asio::awaitable<void> open(World& world, std::shared_ptr<Session> session, std::string type, std::string data) {
    Result<std::shared_ptr<ssh::Channel>> channel = co_await session->open_channel(type, data);
    if (channel) world.held_.push_back(std::make_shared<Held>(Held{std::move(*channel)}));
  }
  static asio::awaitable<void> read(World& world, std::shared_ptr<Held> held, std::size_t size) {
    std::vector<char> buffer(size);
    const Result<std::size_t> got = co_await held->channel->read(asio::buffer(buffer));
    held->reading = false;
    if (!got) co_return;
    MUST(*got <= size);
    world.read_ += *got;
  }
  static asio::awaitable<void> write(World& world, std::shared_ptr<Held> held, std::size_t size, bool as_stderr) {
    const std::string data(size, 'w');
    const Result<void> done = co_await held->channel->write(asio::buffer(data), as_stderr);
    (void)done.has_value();
    --held->writing;
    world.writing_ -= size;
  }
  static asio::awaitable<void> take_request(std::shared_ptr<Held> held, bool success) {
    const Result<ChannelRequest> request = co_await held->channel->next_request();
    held->taking = false;
    if (request) held->channel->reply(success);
  }
};

World::World(std::shared_ptr<const ServerOptions> options) {
  tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::setsockopt(client, SOL_SOCKET, SO_RCVBUF, &kSmallSocketBuffer, sizeof kSmallSocketBuffer);
  const auto endpoint = acceptor.local_endpoint();
  MUST(::connect(client, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0);
  const int no_delay = 1;  // what one packet says has arrived when the next one is made
  ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
  client_ = std::make_unique<Client>(client);
  tcp::socket server = acceptor.accept();
  ::setsockopt(server.native_handle(), SOL_SOCKET, SO_SNDBUF, &kSmallSocketBuffer, sizeof kSmallSocketBuffer);
  memory_before_ = __sanitizer_get_current_allocated_bytes();
  asio::co_spawn(io_, Work::run(*this, std::move(server), std::move(options)), asio::detached);
  settle();
}

void World::settle() {
  int waits = 0;
  for (int turn = 0; turn < 2; ++turn) {
    io_.restart();
    io_.poll();
    client_->receive();
    if (waits < 20 && client_->has_unsent()) {  // the server reads on, whatever else it waits for; after its end it does not
      turn = -1;
      ++waits;
    }
  }
  check_memory();
}

void World::settle_slowly() {
  for (int steps = 0; steps < 25; ++steps) {  // a probe of a closed window comes after 200 ms
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    settle();
  }
}

// What the peer sent and the application has not read is at most what the windows allow; a string that grows takes twice.
void World::check_memory() {
  const std::uint64_t unread = client_->data_sent - std::min(client_->data_sent, read_);
  const std::size_t now = __sanitizer_get_current_allocated_bytes();
  MUST(now <= memory_before_ + 2 * std::min<std::uint64_t>(unread, 80 << 20) + writing_ + kMemory);
}

void World::send(std::string_view packet) {
  for (int tries = 0; tries < 4 && !client_->send(packet); ++tries) settle();
}

void World::pass(std::chrono::milliseconds time) {
  advance_time(time);
  asio::steady_timer due(io_, asio::steady_timer::time_point::min());  // makes Asio look at its timers
  due.async_wait([](boost::system::error_code) {});
  settle();
}

void World::answer_auth(bool accept) {
  if (!session_ || std::exchange(answering_auth_, true)) return;
  asio::co_spawn(io_, Work::auth(*this, session_, accept), asio::detached);
}

void World::answer_global(bool success, std::uint32_t port) {
  if (!session_ || std::exchange(answering_global_, true)) return;
  asio::co_spawn(io_, Work::global(*this, session_, success, port), asio::detached);
}

void World::open_channel(std::string type, std::string data) {
  if (session_) asio::co_spawn(io_, Work::open(*this, session_, std::move(type), std::move(data)), asio::detached);
}

void World::read(std::size_t index, std::size_t size) {
  if (index >= held_.size() || std::exchange(held_[index]->reading, true)) return;
  asio::co_spawn(io_, Work::read(*this, held_[index], size + 1), asio::detached);
}

void World::write(std::size_t index, std::size_t size, bool as_stderr) {
  if (index >= held_.size() || held_[index]->writing == 2) return;  // a process has two outputs
  ++held_[index]->writing;
  writing_ += size;
  asio::co_spawn(io_, Work::write(*this, held_[index], size, as_stderr), asio::detached);
}

void World::take_request(std::size_t index, bool success) {
  if (index >= held_.size() || std::exchange(held_[index]->taking, true)) return;
  asio::co_spawn(io_, Work::take_request(held_[index], success), asio::detached);
}

void World::take_at_once(Channel& channel, std::size_t most) {
  if (most == 0) return channel.take_at_once({});
  channel.take_at_once([this, most](std::string_view data) {
    MUST(!data.empty());
    read_ += std::min(most, data.size());
    return std::min(most, data.size());
  });
}

void World::drop(std::size_t index) {
  if (index < held_.size()) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
}

// A broken rule has been answered by the end of the connection; and after its end nothing waits for anything.
void World::finish() {
  client_->reads = true;
  for (int turn = 0; turn < 8; ++turn) settle();
  MUST(!client_->must_end || client_->over);
  client_->hang_up();
  io_.restart();
  io_.poll();
  held_.clear();
  session_.reset();
  io_.restart();
  io_.run();
  MUST(wire().transports == 0);
}

}  // namespace berth::ssh::fuzz
