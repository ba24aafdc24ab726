// Logging in to the web with an SSH key (DESIGN 8): links, codes and browser sessions. Only SHA-256 hashes of tokens are stored;
// links live 60 s, codes 5 min, both single use; sessions end after the configured time. A token is looked up by its hash, so the
// time that takes tells nothing about it.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.hpp"
#include "auth/key_policy.hpp"

namespace berth::auth {

struct NewWebSession {
  std::string cookie;  // 256 bits, base64url: goes to the browser once, only its hash is stored
  WebSession session;
};

struct PendingLogin {  // what `berth approve CODE` shows before approving
  std::string code;
  std::string address, user_agent;
  Timestamp asked_at{};
};

// The `detail` of a SessionRecord of kind "web": which browser login is at work there.
inline std::string browser_detail(std::string_view web_session_id) { return "browser " + std::string(web_session_id); }

class WebLogins {
 public:
  WebLogins(Store& store, const Clock& clock, std::chrono::seconds session_lifetime, KeyPolicy policy);
  ~WebLogins();

  // By link: `ssh box berth web`. Answers the one-time token. `user` carries the key that logged in (key_fingerprint).
  boost::asio::awaitable<Result<std::string>> make_link(Actor user);
  boost::asio::awaitable<Result<NewWebSession>> redeem_link(std::string token, std::string address, std::string user_agent);

  // By code: the page asks; the browser keeps `browser_secret` (cookie), the user types the code ("BDGH-2345", no
  // look-alikes) into `ssh box berth approve`; the page polls and gets its session exactly once.
  struct NewCode { std::string code, browser_secret; };
  boost::asio::awaitable<Result<NewCode>> ask_code(std::string address, std::string user_agent);
  // Errors: not_found; unavailable after 5 wrong codes of this user within a minute (so that codes cannot be guessed).
  Result<PendingLogin> find_code(SQLite::Database& reader, const Actor& user, std::string_view code);
  boost::asio::awaitable<Result<void>> approve_code(Actor user, std::string code);
  // Error{conflict} while nobody approved; Error{not_found} when it ran out.
  boost::asio::awaitable<Result<NewWebSession>> redeem_code(std::string browser_secret, std::string address, std::string user_agent);

  // The session of a cookie, if it is valid now: not ended, not expired, user enabled, key still valid.
  struct Valid { WebSession session; User user; };
  // Remembers when it was last seen (at most one write a minute; nobody waits for it).
  std::optional<Valid> check(SQLite::Database& reader, std::string_view cookie);
  std::vector<WebSession> list(SQLite::Database& reader, std::string_view user) const;
  // Ends a session of the actor (any session for an admin) and the workspace cookies that came from it.
  boost::asio::awaitable<Result<void>> end(Actor actor, std::string session_id);

  // Crossing to an origin of workspaces (DESIGN 8): a code that works once, for 30 s, for one place and (`bound_to`: SHA-256, in hex, of what a browser
  // holds, may be empty) in one browser; it gives a cookie for that place only, which is valid as long as the portal session is.
  struct Place {
    std::string owner, workspace;
    std::string app;  // "jupyter" or a port, on an origin of its own; empty: all paths of the workspace on the shared one
    auto operator<=>(const Place&) const = default;
  };
  boost::asio::awaitable<Result<std::string>> make_crossing(std::string session_id, Place place, std::string bound_to = {});
  struct Crossed { std::string cookie; Place place; Valid valid; };
  // `held`: what the browser was found to hold; empty: nothing.
  boost::asio::awaitable<Result<Crossed>> redeem_crossing(std::string code, std::string held = {});
  // The portal session behind a cookie of this place; the same checks as check().
  std::optional<Valid> check_workspace_cookie(SQLite::Database& reader, std::string_view cookie, const Place& place) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::auth
