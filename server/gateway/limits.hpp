// Counts of connections over all lanes: those that have not logged in yet (MaxStartups of sshd_config(5)) and those of each
// user. Touched once at accept, login and end, so one mutex for all lanes is no bottleneck.
#pragma once
#include <map>
#include <mutex>
#include <string>

namespace berth::server {

class ConnectionLimits {
 public:
  ConnectionLimits(int max_startups, int max_per_user) : max_startups_(max_startups), max_per_user_(max_per_user) {}

  // Held by a connection for as long as it counts; gives its place back when destroyed.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept;
    Place& operator=(Place&& other) noexcept;
    ~Place() { give_back(); }
    explicit operator bool() const { return limits_ != nullptr; }
    void give_back();

   private:
    friend class ConnectionLimits;
    Place(ConnectionLimits* limits, std::string user) : limits_(limits), user_(std::move(user)) {}
    ConnectionLimits* limits_ = nullptr;
    std::string user_;  // empty: a place before login
  };

  // An empty Place when the limit is reached.
  Place before_login();
  Place of_user(const std::string& user);

 private:
  std::mutex mutex_;
  const int max_startups_, max_per_user_;
  int startups_ = 0;
  std::map<std::string, int> users_;
};

}  // namespace berth::server
