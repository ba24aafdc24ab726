// A browser at work in a workspace: one row of auth::Sessions (kind "web") from its first proxied request to a minute after its last,
// holding every connection that carries something for it. Ending the row closes them all and the browser's login.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "auth/sessions.hpp"
#include "auth/web_logins.hpp"
#include "workspaces/manager.hpp"

namespace berth::web {

class Stream;

class Presences {
 public:
  // `on_killed` is called with the web session when a row was ended by somebody.
  using OnKilled = std::function<void(const auth::WebSession& session, std::string_view reason)>;
  Presences(auth::Sessions& sessions, boost::asio::any_io_executor executor, OnKilled on_killed)
      : sessions_(sessions), executor_(std::move(executor)), on_killed_(std::move(on_killed)) {}
  ~Presences();

  class Use;
  struct Presence {
    std::shared_ptr<auth::LiveSession> live;
    auth::WebSession session;
    Use* first_use = nullptr;  // what it carries now, a list
    std::chrono::steady_clock::time_point last_used{};
    bool checked = false;  // the login has been looked at again since the row can be found by a revocation
  };
  // Holds one connection's stream in a presence while a request of it is served. `end` is called in place of closing the stream.
  class Use {  // in a list of its own: each request makes one
   public:
    Use(std::shared_ptr<Presence> presence, Stream& stream, std::function<void()> end = {});
    ~Use();
    Use(const Use&) = delete;
    auth::LiveSession& live() { return *presence_->live; }

   private:
    friend class Presences;
    std::shared_ptr<Presence> presence_;
    Stream& stream_;
    std::function<void()> end_;
    Use *previous_ = nullptr, *next_ = nullptr;
  };
  // `share`: by which somebody visits another's workspace; empty: it is their own.
  std::shared_ptr<Presence> find_or_open(const auth::WebSession& session, const workspaces::WorkspaceId& id, const std::string& share, const std::string& client_address);

  // Ends everything of one browser login (logout).
  void end_web_session(const std::string& session_id);
  // Ends what rests on logins that have run out.
  void end_expired(Timestamp now);
  // Ends what visitors do by shares for which `good` is false.
  void end_shares(const std::function<bool(const Presence& presence, const std::string& share)>& good);
  // Closes rows that nothing has used for `age`.
  void close_unused(std::chrono::steady_clock::time_point now, std::chrono::seconds age);

 private:
  struct Key {
    std::string session;
    workspaces::WorkspaceId id;
    std::string share;
    auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 stumbles over it
  };
  template <class Ends>
  void end_where(Ends ends, const char* why);
  void killed(const Key& key, std::string_view reason);
  static void close_streams(Presence& presence);
  auth::Sessions& sessions_;
  boost::asio::any_io_executor executor_;
  OnKilled on_killed_;
  std::map<Key, std::shared_ptr<Presence>> open_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace berth::web
