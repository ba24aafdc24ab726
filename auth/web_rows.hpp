// The records of logging in to the web, as SQL. Used by auth/web_*.cpp only; everything here runs inside the caller's transaction.
#pragma once
#include "auth/rows.hpp"
#include "auth/web_logins.hpp"

namespace berth::auth {

// Who approved a login: a user and one of their keys, both valid now.
struct Approver {
  User user;
  Key key;
};
// May a browser or a token at `address` (a port is ignored) rest on this key? Both give terminals and every port, so the key must be
// unrestricted but for from=.
bool opens_web(const Key& key, std::string_view address);
std::optional<Approver> approver_by_id(SQLite::Database& database, const KeyPolicy& policy, std::int64_t user_id, std::int64_t key_id, Timestamp now);
std::optional<Approver> approver_by_key(SQLite::Database& database, const KeyPolicy& policy, std::string_view user, std::string_view fingerprint,
                                        Timestamp now);

// A browser session for an approver, and its audit row; `how` is "link" or "code".
NewWebSession insert_web_session(SQLite::Database& database, const Approver& approver, std::string_view address, std::string_view user_agent, Timestamp now,
                                 std::chrono::seconds lifetime, std::string_view how);

// The session that `where` finds (one '?', bound to `value`; table alias s), if it, its user and its key are valid now.
std::optional<WebLogins::Valid> valid_session(SQLite::Database& database, const KeyPolicy& policy, const char* where, Blob value, Timestamp now);
std::optional<WebLogins::Valid> valid_session(SQLite::Database& database, const KeyPolicy& policy, std::string_view session_id, Timestamp now);

void purge_expired(SQLite::Database& database, Timestamp now);

// 256 random bits as text for a URL or a cookie; stored is only its hash.
std::string new_token();
// What an address counts as for limits: an IPv4 address, the /64 of an IPv6 one (a household has them all); a port is cut off.
std::string network_of(std::string_view address);

}  // namespace berth::auth
