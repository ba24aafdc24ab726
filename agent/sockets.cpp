#include "agent/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/private_dir.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent {
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kOneAddress{10'000}, kAllAddresses{29'000};  // berthd gives up after 60 s
constexpr std::uint64_t kMaxCredit = 64;

Result<Address> unix_address(const std::string& path) {
  Address address;
  auto& named = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.empty() || path[0] != '/') return Error{ErrorKind::invalid, "'" + path + "' is no absolute path"};
  if (path.size() >= sizeof named.sun_path) return Error{ErrorKind::invalid, path + ": too long for a Unix socket"};
  named.sun_family = AF_UNIX;
  std::memcpy(named.sun_path, path.data(), path.size());
  address.size = sizeof named;
  return address;
}

void set_nodelay(int fd) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

FileDescriptor stream_socket(int family) { return FileDescriptor(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

// Tries one address after the other until one answers; the error told is that of the last.
class Connecting : public std::enable_shared_from_this<Connecting> {
 public:
  Connecting(Loop& loop, Reply reply, std::string what, std::vector<Address> addresses)
      : loop_(loop), reply_(std::move(reply)), what_(std::move(what)), addresses_(std::move(addresses)),
        deadline_(std::chrono::steady_clock::now() + kAllAddresses) {}

  void next() {
    forget();
    if (current_ == addresses_.size() || std::chrono::steady_clock::now() >= deadline_) return reply_.error(errno_error(what_, error_));
    const Address& address = addresses_[current_++];
    socket_ = stream_socket(address.storage.ss_family);
    if (!socket_ || ::connect(socket_.get(), address.get(), address.size) < 0) {
      error_ = errno;
      if (socket_ && error_ == EINPROGRESS) return wait();
      if (error_ == EAGAIN) return try_again();
      return next();
    }
    finish();
  }

 private:
  void wait() {
    error_ = ETIMEDOUT;
    watch_ = loop_.watch(socket_.get(), EPOLLOUT, [self = shared_from_this()](std::uint32_t) {
      int why = 0;
      socklen_t size = sizeof why;
      ::getsockopt(self->socket_.get(), SOL_SOCKET, SO_ERROR, &why, &size);
      if (!why) return self->finish();
      self->error_ = why;
      self->next();
    });
    timer_ = loop_.after(kOneAddress, [self = shared_from_this()] { self->next(); });
  }

  void try_again() {  // a Unix socket whose backlog is full
    error_ = ETIMEDOUT;
    --current_;
    timer_ = loop_.after(milliseconds(20), [self = shared_from_this()] { self->next(); });
  }

  void finish() {
    loop_.forget(watch_);
    loop_.cancel(timer_);
    if (addresses_[current_ - 1].storage.ss_family != AF_UNIX) set_nodelay(socket_.get());
    std::vector<FileDescriptor> sockets;
    sockets.push_back(std::move(socket_));
    reply_.done(json::object(), std::move(sockets));
  }

  void forget() {
    loop_.forget(watch_);
    loop_.cancel(timer_);
    socket_.reset();
  }

  Loop& loop_;
  Reply reply_;
  std::string what_;
  std::vector<Address> addresses_;
  std::chrono::steady_clock::time_point deadline_;
  std::size_t current_ = 0;
  int error_ = EHOSTUNREACH;
  FileDescriptor socket_;
  Loop::WatchId watch_ = 0;
  Loop::TimerId timer_ = 0;
};

std::string describe(const std::string& host, std::uint16_t port) { return host + ":" + std::to_string(port); }

}  // namespace

// Accepts while there is credit; what berthd has no room for stays in the kernel's queue.
class Listening {
 public:
  Listening(Loop& loop, Reply reply, FileDescriptor socket, std::string path, std::shared_ptr<PrivateDirectory> with)
      : loop_(loop), reply_(std::move(reply)), socket_(std::move(socket)), path_(std::move(path)), private_(std::move(with)) {
    watch_ = loop_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
  }
  ~Listening() {
    loop_.forget(watch_);
    loop_.cancel(pause_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }
  void add_credit(std::uint64_t more) {
    credit_ = std::min(credit_ + more, kMaxCredit);
    if (!pause_) loop_.change(watch_, EPOLLIN);
  }

 private:
  void accept() {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    FileDescriptor socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause();
      return;
    }
    auto [host, port] = format_address(peer);
    if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6) set_nodelay(socket.get());
    std::vector<FileDescriptor> sockets;
    sockets.push_back(std::move(socket));
    reply_.event("accepted", {{"host", host}, {"port", port}}, std::move(sockets));
    if (--credit_ == 0) loop_.change(watch_, 0);
  }

  void pause() {  // out of descriptors: the connection still waits, and so would a busy loop
    loop_.change(watch_, 0);
    pause_ = loop_.after(milliseconds(200), [this] {
      pause_ = 0;
      if (credit_) loop_.change(watch_, EPOLLIN);
    });
  }

  Loop& loop_;
  Reply reply_;
  FileDescriptor socket_;
  std::string path_;
  std::shared_ptr<PrivateDirectory> private_;  // goes with the listener
  std::uint64_t credit_ = kMaxCredit;
  Loop::WatchId watch_ = 0;
  Loop::TimerId pause_ = 0;
};

namespace {

Result<FileDescriptor> bind_tcp(const Address& address, const std::string& what) {
  auto socket = stream_socket(address.storage.ss_family);
  int on = 1, off = 0;
  if (!socket) return errno_error(what, errno);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), address.get(), address.size) < 0 || ::listen(socket.get(), 128) < 0) return errno_error(what, errno);
  return socket;
}

// Nobody else's: a path that exists is replaced only when it is a socket on which nobody listens.
Result<FileDescriptor> bind_unix(const std::string& path, const Address& address) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) {
    auto probe = stream_socket(AF_UNIX);
    bool stale = S_ISSOCK(found.st_mode) && probe && ::connect(probe.get(), address.get(), address.size) < 0 && errno == ECONNREFUSED;
    if (!stale) return errno_error(path, EADDRINUSE);
    ::unlink(path.c_str());
  }
  auto socket = stream_socket(AF_UNIX);
  if (!socket) return errno_error(path, errno);
  mode_t before = ::umask(0177);
  int bound = ::bind(socket.get(), address.get(), address.size), why = errno;
  ::umask(before);
  if (bound < 0) return errno_error(path, why);
  if (::listen(socket.get(), 128) < 0) {
    why = errno;
    ::unlink(path.c_str());
    return errno_error(path, why);
  }
  return socket;
}

// `private` of a request: {"socket": NAME} or {"files": {NAME: bytes}}; none without it.
Result<std::shared_ptr<PrivateDirectory>> make_private(const json& fields) {
  constexpr std::size_t kMostFiles = 4, kMostBytes = 4096;
  auto made = PrivateDirectory::make();
  if (!made) return made.error();
  auto with = std::make_shared<PrivateDirectory>(std::move(*made));
  if (!fields.contains("files")) return with;
  const json& files = fields["files"];
  if (!files.is_object() || files.size() > kMostFiles) throw BadRequest("'files' must be an object of few");
  for (const auto& [name, value] : files.items()) {
    const std::string text = value.is_string() ? tunnels::wire::decode_bytes(value.get_ref<const std::string&>()).value_or("") : "";
    if (!PrivateDirectory::valid_name(name) || text.empty() || text.size() > kMostBytes) throw BadRequest("'files' has a bad entry");
    if (auto written = with->write(name, text); !written) return written.error();
  }
  return with;
}

json with_path(json fields, const std::string& path) {
  fields["path"] = tunnels::wire::encode_bytes(path);
  return fields;
}

}  // namespace

Sockets::Sockets(Loop& loop) : loop_(loop) {}
Sockets::~Sockets() = default;

void Sockets::connect(const Request& request) {
  auto begin = [&loop = loop_, reply = request.reply](std::string what, std::vector<Address> addresses) {
    std::make_shared<Connecting>(loop, reply, std::move(what), std::move(addresses))->next();
  };
  if (request.has("path")) {
    std::string path = request.bytes("path");
    auto address = unix_address(path);
    if (!address) return request.reply.error(address.error());
    return begin(path, {*address});
  }
  std::string host = request.bytes("host");
  auto port = static_cast<std::uint16_t>(request.number("port", 65535));
  resolve(loop_, host, port, [begin, host, port, reply = request.reply](Result<std::vector<Address>> addresses) {
    if (!addresses) return reply.error(addresses.error());
    begin(describe(host, port), std::move(*addresses));
  });
}

void Sockets::listen(const Request& request) {
  Key key{request.connection_id, request.reply.op};
  if (listeners_.contains(key) || resolving_.contains(key)) throw BadRequest("'op' is in use");
  if (listeners_.size() + resolving_.size() >= kMaxListeners) return request.reply.error({ErrorKind::unavailable, "too many listeners"});
  Private with;
  if (request.has("private")) {
    const json& fields = request.fields["private"];
    if (!fields.is_object()) throw BadRequest("'private' must be an object");
    auto made = make_private(fields);
    if (!made) return request.reply.error(made.error());
    with = std::move(*made);
    if (fields.contains("socket")) {
      const std::string name = fields["socket"].is_string() ? fields["socket"].get<std::string>() : "";
      if (!PrivateDirectory::valid_name(name)) throw BadRequest("'socket' must be a name");
      return listen_unix(key, request, with->path() + "/" + name, with);
    }
  }
  if (request.has("path")) return listen_unix(key, request, request.bytes("path"), with);
  std::string host = request.bytes("host");
  auto port = static_cast<std::uint16_t>(request.number("port", 65535));
  if (host.empty() || host == "*") {
    Address v6, v4;
    parse_address("::", port, v6);  // takes IPv4 as well
    parse_address("0.0.0.0", port, v4);
    return start_listening(key, request.reply, {v6, v4}, describe("*", port), with);
  }
  resolving_.insert(key);
  resolve(loop_, host, port, [this, key, host, port, with, reply = request.reply](Result<std::vector<Address>> addresses) {
    if (!resolving_.erase(key)) return reply.event("closed");
    if (!addresses) return reply.error(addresses.error());
    start_listening(key, reply, {addresses->front()}, describe(host, port), with);
  });
}

void Sockets::listen_unix(Key key, const Request& request, const std::string& path, Private with) {
  auto address = unix_address(path);
  if (!address) return request.reply.error(address.error());
  // Looked up before bind_unix tries the path: a connection out of nowhere would be handed to its owner.
  bool ours = std::any_of(listeners_.begin(), listeners_.end(), [&](const auto& entry) { return entry.second->path() == path; });
  if (ours) return request.reply.error(errno_error(path, EADDRINUSE));
  auto socket = bind_unix(path, *address);
  if (!socket) return request.reply.error(socket.error());
  listeners_.emplace(key, std::make_unique<Listening>(loop_, request.reply, std::move(*socket), path, std::move(with)));
  request.reply.done(with_path({{"port", 0}}, path));
}

// Binds the first address; the others only where the kernel does not have the first one's family.
void Sockets::start_listening(Key key, const Reply& reply, const std::vector<Address>& addresses, const std::string& what, Private with) {
  Result<FileDescriptor> socket = Error{ErrorKind::unavailable, what + ": no address"};
  for (const auto& address : addresses) {
    socket = bind_tcp(address, what);
    if (socket || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) break;
  }
  if (!socket) return reply.error(socket.error());
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(socket->get(), reinterpret_cast<sockaddr*>(&bound), &size);
  json answer{{"port", format_address(bound).second}};
  if (with) answer = with_path(std::move(answer), with->path());
  listeners_.emplace(key, std::make_unique<Listening>(loop_, reply, std::move(*socket), "", std::move(with)));
  reply.done(std::move(answer));
}

void Sockets::credit(const Request& request) {
  auto found = listeners_.find({request.connection_id, request.reply.op});
  if (found != listeners_.end()) found->second->add_credit(request.number("count", kMaxCredit));
}

void Sockets::close(const Request& request) {
  Key key{request.connection_id, request.reply.op};
  if (resolving_.erase(key)) return;  // answered when the name is known
  if (listeners_.erase(key)) request.reply.event("closed");
}

void Sockets::connection_lost(std::uint64_t connection_id) {
  std::erase_if(listeners_, [&](const auto& entry) { return entry.first.first == connection_id; });
  std::erase_if(resolving_, [&](const auto& key) { return key.first == connection_id; });
}

}  // namespace berth::agent
