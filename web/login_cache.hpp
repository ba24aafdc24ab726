// Workspace cookies that a lane has found good a moment ago: a page that loads a hundred files is looked up once. What was found holds until a commit of the
// store touches anything that logins may rest on, and for a second at most, since logins and keys also end by the clock.
#pragma once
#include <SQLiteCpp/Database.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "auth/web_logins.hpp"
#include "web/events.hpp"

namespace berth::web {

class LoginCache {
 public:
  LoginCache(const auth::WebLogins& logins, const Clock& clock, const EventHub& hub) : logins_(logins), clock_(clock), hub_(hub) {}
  // As WebLogins::check_workspace_cookie; nullptr: not valid.
  std::shared_ptr<const auth::WebLogins::Valid> check(SQLite::Database& reader, std::string_view cookie, const auth::WebLogins::Place& place);

 private:
  struct Found {
    std::shared_ptr<const auth::WebLogins::Valid> valid;
    auth::WebLogins::Place place;
    std::uint64_t generation = 0;  // of the store, read before the look-up
    Timestamp at{};
  };
  const auth::WebLogins& logins_;
  const Clock& clock_;
  const EventHub& hub_;
  std::unordered_map<std::string, Found> found_;  // by the cookie's SHA-256
};

}  // namespace berth::web
