#include "agent/resolver.hpp"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <cstring>
#include <map>
#include <memory>

namespace berth::agent {

namespace {

constexpr std::size_t kMaxAddresses = 16;
constexpr int kMaxLookups = 256;
int lookups = 0;

// One c-ares channel for each look-up: it reads resolv.conf and hosts anew, which change when networks do.
class Lookup : public std::enable_shared_from_this<Lookup> {
 public:
  Lookup(Loop& loop, std::string host, std::uint16_t port, std::function<void(Result<std::vector<Address>>)> answer)
      : loop_(loop), host_(std::move(host)), port_(port), answer_(std::move(answer)) {
    ++lookups;
  }
  ~Lookup() {
    loop_.cancel(timer_);
    if (channel_) ::ares_destroy(channel_);
    for (auto& [fd, id] : watches_) loop_.forget(id);
    --lookups;
  }

  void start() {
    ares_options options{};
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<Lookup*>(self)->socket_state(fd, readable, writable);
    };
    options.sock_state_cb_data = this;
    options.timeout = 2500;
    options.tries = 3;
    int status = ::ares_init_options(&channel_, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    self_ = shared_from_this();  // until finished
    if (status != ARES_SUCCESS) {
      channel_ = nullptr;
      return finish(status, nullptr);
    }
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ::ares_getaddrinfo(channel_, host_.c_str(), nullptr, &hints, [](void* self, int code, int, ares_addrinfo* info) {
      static_cast<Lookup*>(self)->finish(code, info);
      if (info) ::ares_freeaddrinfo(info);
    }, this);
    arm_timer();
  }

 private:
  void socket_state(ares_socket_t fd, bool readable, bool writable) {
    auto found = watches_.find(fd);
    std::uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (!events) {
      if (found != watches_.end()) {
        loop_.forget(found->second);
        watches_.erase(found);
      }
    } else if (found != watches_.end()) {
      loop_.change(found->second, events);
    } else {
      watches_[fd] = loop_.watch(fd, events, [weak = weak_from_this(), fd](std::uint32_t ready) {
        if (auto self = weak.lock())
          self->process(ready & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD, ready & EPOLLOUT ? fd : ARES_SOCKET_BAD);
      });
    }
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    ::ares_process_fd(channel_, readable, writable);
    arm_timer();
  }

  void arm_timer() {
    loop_.cancel(timer_);
    if (finished_) return;
    timeval limit{}, *wait = ::ares_timeout(channel_, nullptr, &limit);
    if (!wait) return;
    timer_ = loop_.after(std::chrono::milliseconds(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1), [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    });
  }

  // Called by c-ares, also from inside ares_destroy: the answer goes out from the loop, where the channel may be destroyed.
  void finish(int status, ares_addrinfo* info) {
    if (finished_) return;
    finished_ = true;
    std::vector<Address> addresses;
    for (auto* node = info ? info->nodes : nullptr; node && addresses.size() < kMaxAddresses; node = node->ai_next) {
      Address address;
      if (node->ai_addrlen > sizeof address.storage) continue;
      std::memcpy(&address.storage, node->ai_addr, node->ai_addrlen);
      address.size = node->ai_addrlen;
      if (node->ai_family == AF_INET) reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port_);
      if (node->ai_family == AF_INET6) reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port_);
      addresses.push_back(address);
    }
    Result<std::vector<Address>> result = Error{ErrorKind::not_found, host_ + ": " + ::ares_strerror(status)};
    if (!addresses.empty()) result = std::move(addresses);
    loop_.after(std::chrono::milliseconds(0), [self = std::move(self_), result = std::move(result)] { self->answer_(result); });
  }

  Loop& loop_;
  std::string host_;
  std::uint16_t port_;
  std::function<void(Result<std::vector<Address>>)> answer_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, Loop::WatchId> watches_;
  Loop::TimerId timer_ = 0;
  std::shared_ptr<Lookup> self_;
  bool finished_ = false;
};

}  // namespace

bool parse_address(const std::string& text, std::uint16_t port, Address& address) {
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.size = sizeof v4;
    return true;
  }
  std::string inner = text.size() > 2 && text.front() == '[' && text.back() == ']' ? text.substr(1, text.size() - 2) : text;
  if (::inet_pton(AF_INET6, inner.c_str(), &v6.sin6_addr) != 1) return false;
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  address.size = sizeof v6;
  return true;
}

std::pair<std::string, std::uint16_t> format_address(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {text, ntohs(v4.sin_port)};
  }
  if (storage.ss_family != AF_INET6) return {"", 0};
  auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) ::inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text, sizeof text);
  else ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return {text, ntohs(v6.sin6_port)};
}

void resolve(Loop& loop, const std::string& host, std::uint16_t port, std::function<void(Result<std::vector<Address>>)> answer) {
  Address address;
  if (parse_address(host, port, address)) return answer(std::vector<Address>{address});
  if (host == "localhost") {  // RFC 6761: the loopback, also where /etc/hosts is missing
    Address v4, v6;
    parse_address("127.0.0.1", port, v4);
    parse_address("::1", port, v6);
    return answer(std::vector<Address>{v4, v6});
  }
  if (host.empty() || host.size() > 253) return answer(Error{ErrorKind::invalid, "'" + host.substr(0, 64) + "' is no host name"});
  if (lookups >= kMaxLookups) return answer(Error{ErrorKind::unavailable, "too many names are being looked up"});
  std::make_shared<Lookup>(loop, host, port, std::move(answer))->start();
}

}  // namespace berth::agent
