// Counts over all lanes: connections that have not logged in yet (MaxStartups of sshd_config(5)), connections and sessions of each user.
// Touched once at accept, login and end, so one mutex for all lanes is no bottleneck.
#pragma once
#include <map>
#include <mutex>
#include <string>

#include "config/settings.hpp"
#include "server/gateway/source_tries.hpp"

namespace berth::server {

struct LimitOptions {
  Startups startups;
  int connections_per_user = 0, sessions_per_user = 0;
  SourceTries::Options tries;
};
LimitOptions limits_of(const Settings::Ssh& settings);

// The chance, in percent, that a new connection is dropped while `waiting` others have not logged in.
int drop_percent(const Startups& startups, int waiting);

class ConnectionLimits {
 public:
  explicit ConnectionLimits(LimitOptions options) : options_(std::move(options)), tries_(options_.tries) {}

  // Held by a connection or session for as long as it counts; gives its place back when destroyed.
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
    using Users = std::map<std::string, int>;
    Place(ConnectionLimits* limits, Users* users, std::string user) : limits_(limits), users_(users), user_(std::move(user)) {}
    ConnectionLimits* limits_ = nullptr;
    Users* users_ = nullptr;  // none: a place before login
    std::string user_;
  };

  // An empty Place when the limit is reached, or by chance; `roll` is a random number from 0 to 99.
  Place before_login(int roll = random_percent());
  Place of_user(const std::string& user) { return take(connections_, user, options_.connections_per_user); }
  Place session_of(const std::string& user) { return take(sessions_, user, options_.sessions_per_user); }
  SourceTries& tries() { return tries_; }

 private:
  static int random_percent();
  Place take(Place::Users& users, const std::string& user, int most);

  const LimitOptions options_;
  SourceTries tries_;
  std::mutex mutex_;
  int startups_ = 0;
  Place::Users connections_, sessions_;
};

}  // namespace berth::server
