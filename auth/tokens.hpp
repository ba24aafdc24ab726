// API tokens: what a script shows instead of a browser's cookie. A token speaks for the user who made it, rests on the key that this user came with
// (when the key is revoked or expires, or the user is locked out, the token is dead at once), and can do less than the user but never more. Shown
// once; only its SHA-256 is stored. A token is looked up by its hash, so the time that takes tells nothing about it.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

struct ApiToken {
  std::string id;      // public handle
  std::string name;    // what its user calls it
  std::string user, key_fingerprint;
  std::string scopes;  // words with blanks between, sorted: what they mean is web/scopes.hpp's
  Timestamp created_at{}, expires_at{}, revoked_at{}, last_used_at{};
  std::string last_used_from;
  bool usable = false;  // not revoked, not expired, and its user and key are good now
};

class Tokens {
 public:
  static constexpr std::string_view kPrefix = "berth_";  // by which scanners of leaked secrets know one
  static constexpr std::size_t kMostOfUser = 50;          // that are not revoked or expired
  static constexpr std::chrono::hours kLongest{24 * 366};

  Tokens(Store& store, const Clock& clock, KeyPolicy policy) : store_(store), clock_(clock), policy_(std::move(policy)) {}

  struct New {
    std::string secret;  // "berth_" and 256 random bits as base64url
    ApiToken token;
  };
  // `actor` comes with a key of their own (Error{denied} otherwise). Errors: invalid name or lifetime; conflict for a name that is in use, and
  // over kMostOfUser.
  boost::asio::awaitable<Result<New>> create(Actor actor, std::string name, std::string scopes, std::chrono::seconds lifetime);
  // The actor's own, or anybody's for an admin. Error{not_found} also when it was revoked before.
  boost::asio::awaitable<Result<ApiToken>> revoke(Actor actor, std::string id);
  // Newest first, dead ones included; empty user: all.
  std::vector<ApiToken> list(SQLite::Database& reader, std::string_view user) const;

  struct Valid {
    ApiToken token;
    User user;
  };
  // Whom a secret speaks for now. The use of a good one is remembered, and that of a dead one audited (each at most once a minute).
  std::optional<Valid> check(SQLite::Database& reader, std::string_view secret, const std::string& address);

 private:
  bool is_due(const std::string& token_id, Timestamp now);

  Store& store_;
  const Clock& clock_;
  const KeyPolicy policy_;
  std::mutex mutex_;  // of uses_ only
  std::unordered_map<std::string, Timestamp> uses_;  // token id -> when its use was last written
};

}  // namespace berth::auth
