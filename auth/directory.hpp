// Users, keys and who may log in. Reads run on a lane's own read-only connection (synchronous, microseconds: point look-ups by index); changes
// go through the store's writer and are audited in the same transaction.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/model.hpp"
#include "base/store.hpp"
#include "config/settings.hpp"

namespace berth::auth {

// Who asks for a change: written into the audit row.
struct Actor {
  std::string name;    // user name or "admin-socket"
  Role role = Role::user;
  std::string source;  // address or "unix"
  std::string key_fingerprint;
  std::string certificate;  // as in SessionRecord
};

// "ssh-ed25519 AAAA… comment" to a Key without ids. Refuses options, private keys, bad base64, types outside policy
// (a small RSA key, DSA) with a sentence that says what to do. At most 16 KiB.
Result<Key> parse_public_key(std::string_view line, const Settings::Keys& policy);
// "SHA256:…" as ssh-keygen prints it.
std::string fingerprint_of(std::string_view blob);
// One line in authorized_keys form.
std::string format_public_key(const Key& key);
Result<void> check_user_name(std::string_view name);

enum class LoginRefusal { none, unknown_user, unknown_key, disabled_user, expired_key, revoked_key };

struct LoginDecision {
  LoginRefusal refusal = LoginRefusal::none;
  User user;  // valid when refusal is none, or the user exists
  Key key;
  bool allowed() const { return refusal == LoginRefusal::none; }
};

struct DirectoryCounts {
  std::int64_t users = 0, keys = 0;  // keys that are not revoked
};

class Directory {
 public:
  Directory(Store& store, const Clock& clock, Settings::Keys policy) : store_(store), clock_(clock), policy_(std::move(policy)) {}

  // May this key log in as this user now? The same work is done whether or not the user exists (no timing difference).
  // Only the caller's log may tell the refusals apart.
  LoginDecision decide_login(SQLite::Database& reader, std::string_view user, std::string_view key_blob) const;

  std::optional<User> find_user(SQLite::Database& reader, std::string_view name) const;
  std::vector<User> list_users(SQLite::Database& reader) const;
  std::vector<Key> list_keys(SQLite::Database& reader, std::string_view user) const;  // empty user: all
  std::optional<Key> find_key(SQLite::Database& reader, std::string_view fingerprint) const;

  DirectoryCounts counts(SQLite::Database& reader) const;

  // Changes: everything but one's own keys needs an Actor with role admin (Error{denied}).
  boost::asio::awaitable<Result<User>> add_user(Actor actor, std::string name, Role role);
  boost::asio::awaitable<Result<void>> set_disabled(Actor actor, std::string name, bool disabled);
  boost::asio::awaitable<Result<void>> set_role(Actor actor, std::string name, Role role);
  // With keys and browser sessions; history and audit stay.
  boost::asio::awaitable<Result<void>> remove_user(Actor actor, std::string name);
  // `expires_at` zero: never, or as late as the policy allows.
  boost::asio::awaitable<Result<Key>> add_key(Actor actor, std::string user, std::string line, Timestamp expires_at);
  boost::asio::awaitable<Result<Key>> revoke_key(Actor actor, std::string fingerprint);
  // Remembers the use of a key (at most one write a minute for each key and address); nobody waits for it.
  void note_key_use(std::int64_t key_id, std::string address);

 private:
  Store& store_;
  const Clock& clock_;
  Settings::Keys policy_;
  std::mutex uses_mutex_;  // of uses_ only
  std::unordered_map<std::string, Timestamp> uses_;  // "KEY ADDRESS" -> when its use was last written
};

}  // namespace berth::auth
