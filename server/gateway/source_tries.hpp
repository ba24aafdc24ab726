// How often logins from one place have failed lately: such a source is slowed down, then refused. Counted for addresses (IPv4 /32, IPv6 /64,
// which is what one customer has) and for networks (IPv4 /24, IPv6 /48), which may have four times as many. In memory, shared by the lanes.
#pragma once
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ip_network.hpp"

namespace berth::server {

class SourceTries {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Options {
    double slow_after = 0, refuse_after = 0;  // failures of one address
    std::chrono::seconds within{};            // refuse_after of them are forgotten, evenly, in this time
    std::vector<IpNetwork> exempt;
  };
  explicit SourceTries(Options options) : options_(std::move(options)) {}

  // One connection before login. Counts towards a refusal until it has logged in, and stays as a failure when it has not.
  class Attempt {
   public:
    Attempt(Attempt&& other) noexcept;
    Attempt& operator=(Attempt&&) = delete;
    ~Attempt() { failed(1, std::chrono::steady_clock::now()); }
    bool refused() const { return refused_; }
    std::chrono::milliseconds delay() const { return delay_; }  // to wait before anything else, at most 5 s
    void succeeded(TimePoint now);
    // `tries`: wrong signatures and the like, at least 1. What comes first holds.
    void failed(int tries, TimePoint now);

   private:
    friend class SourceTries;
    Attempt(SourceTries* tries, std::string address, std::string network) : tries_(tries), keys_{std::move(address), std::move(network)} {}
    SourceTries* tries_;  // none: exempt, refused or over
    std::string keys_[2];
    bool refused_ = false;
    std::chrono::milliseconds delay_{0};
  };
  Attempt begin(const boost::asio::ip::address& source, TimePoint now);

 private:
  static constexpr std::size_t kMostSources = 65'536;
  struct Source {
    double failures = 0;
    int waiting = 0;  // connections before login
    TimePoint at;
  };
  void leak(Source& source, double most, TimePoint now) const;
  void end(const std::string (&keys)[2], double failures, TimePoint now);
  void forget_quiet(TimePoint now);

  const Options options_;
  std::mutex mutex_;
  std::unordered_map<std::string, Source> sources_;  // addresses and networks
};

}  // namespace berth::server
