// Ports of a workspace that their owner has opened to another user, or to everybody who is logged in, for a time. A share rests on the key that its
// owner came with: it ends with its time, that key, or either account, or when somebody ends it. What has ended is in the audit trail only.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

struct Share {
  std::string id;  // public handle
  std::string owner, workspace;
  std::uint16_t port = 0;
  std::string with;  // a user; empty: everybody who is logged in
  Timestamp created_at{}, expires_at{};
};

class Shares {
 public:
  static constexpr std::size_t kMostOfOwner = 100;
  static constexpr std::chrono::hours kLongest{24 * 31};

  Shares(Store& store, const Clock& clock, KeyPolicy policy) : store_(store), clock_(clock), policy_(std::move(policy)) {}

  // `actor` comes with a key of their own (Error{denied} otherwise). Errors: invalid lifetime, port or themselves; not_found for an unknown user; conflict
  // when the same is shared with the same already, and over kMostOfOwner.
  boost::asio::awaitable<Result<Share>> create(Actor actor, std::string workspace, std::uint16_t port, std::string with, std::chrono::seconds lifetime);
  // The actor's own, or anybody's for an admin. Answers what it was.
  boost::asio::awaitable<Result<Share>> end(Actor actor, std::string id);
  // That hold now: made by `user` or open to them; empty user: all. By owner, workspace, port.
  std::vector<Share> list(SQLite::Database& reader, std::string_view user) const;

  // The share by which `visitor` may use this port now.
  std::optional<Share> find(SQLite::Database& reader, std::string_view owner, std::string_view workspace, std::uint16_t port, std::string_view visitor) const;
  // Does this share hold now, and for `visitor`?
  bool holds(SQLite::Database& reader, std::string_view id, std::string_view visitor) const;

 private:
  Store& store_;
  const Clock& clock_;
  const KeyPolicy policy_;
};

}  // namespace berth::auth
