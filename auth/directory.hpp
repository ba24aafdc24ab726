// Users, keys and who may log in. Reads run on a lane's own read-only connection (synchronous, microseconds: point look-ups by index); changes
// go through the store's writer and are audited in the same transaction.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/key_policy.hpp"
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
Result<Key> parse_public_key(std::string_view line, const KeyPolicy& policy);
// "SHA256:…" as ssh-keygen prints it.
std::string fingerprint_of(std::string_view blob);
// One line in authorized_keys form.
std::string format_public_key(const Key& key);
bool is_key_type(std::string_view name);
// Of an ssh-rsa blob; 0 when it is none.
std::int64_t rsa_bits_of(std::string_view blob);
Result<void> check_user_name(std::string_view name);

enum class LoginRefusal { none, unknown_user, unknown_key, disabled_user, expired_key, revoked_key, policy };

struct LoginDecision {
  LoginRefusal refusal = LoginRefusal::none;
  User user;  // valid when refusal is none, or the user exists
  Key key;
  KeyVerdict verdict;  // of the key; it alone does not let anybody in
  bool allowed() const { return refusal == LoginRefusal::none; }
  std::string_view why() const;  // "key is revoked": for the log and the audit trail only
};

struct DirectoryCounts {
  std::int64_t users = 0, keys = 0;  // keys that are not revoked
};

// A part of a long list: `next` goes into the next query's `after`; empty or 0 at the end.
struct UserQuery {
  std::string q;      // part of the name
  std::string after;  // a name
  bool with_exceptions = false;  // only those
  std::size_t limit = 1000;
};
struct UserPage {
  struct Row {
    User user;
    std::int64_t keys = 0;  // revoked ones too
  };
  std::vector<Row> rows;
  std::string next;
};
struct KeyQuery {
  std::string q;  // part of the user's name, the comment or the fingerprint
  std::optional<KeyState> state;
  std::int64_t after = 0;
  std::size_t limit = 1000;
};
struct KeyPage {
  std::vector<Key> rows;
  std::int64_t next = 0;
};

// How a key was used in the last 30 days (UTC).
struct KeyUses {
  struct Source {
    std::string address;  // without port; "others" beyond 64 on one day
    std::int64_t uses = 0;
    Timestamp last_at{};
  };
  std::int64_t uses = 0;
  std::vector<Source> sources;  // the latest first
};

struct Rotation {
  std::string user, line;
  std::string replaces;  // a fingerprint, "all", or empty: the key that the actor came with, or else the only one
  std::optional<std::chrono::seconds> grace;  // else the policy's; users may choose less than that
  bool retire_on_first_use = false;
  Timestamp expires_at{};  // of the new key
};
struct Rotated {
  Key key;
  std::vector<Key> superseded;  // as they are now
};

class Directory {
 public:
  Directory(Store& store, const Clock& clock, KeyPolicy policy) : store_(store), clock_(clock), policy_(std::move(policy)) {}

  const KeyPolicy& policy() const { return policy_; }
  KeyVerdict judge(const Key& key) const { return decide(key, policy_, clock_.now()); }
  // Called after each change to keys, users or campaigns, on any thread. Set it before there are any.
  void on_change(std::function<void()> listener) { changed_ = std::move(listener); }
  void note_change() const {
    if (changed_) changed_();
  }

  // May this key log in as this user now? The same work is done whether or not the user exists (no timing difference).
  // Only the caller's log may tell the refusals apart.
  LoginDecision decide_login(SQLite::Database& reader, std::string_view user, std::string_view key_blob) const;

  std::optional<User> find_user(SQLite::Database& reader, std::string_view name) const;
  UserPage list_users(SQLite::Database& reader, const UserQuery& query) const;
  std::vector<Key> list_keys(SQLite::Database& reader, std::string_view user) const;
  KeyPage find_keys(SQLite::Database& reader, const KeyQuery& query) const;  // of all users, oldest first
  std::optional<Key> find_key(SQLite::Database& reader, std::string_view fingerprint) const;
  KeyUses uses_of(SQLite::Database& reader, std::int64_t key_id) const;

  DirectoryCounts counts(SQLite::Database& reader) const;

  // Changes: everything but one's own keys needs an Actor with role admin (Error{denied}); one's own keys as far as policy.self_service goes.
  boost::asio::awaitable<Result<User>> add_user(Actor actor, std::string name, Role role);
  boost::asio::awaitable<Result<void>> set_disabled(Actor actor, std::string name, bool disabled);
  boost::asio::awaitable<Result<void>> set_role(Actor actor, std::string name, Role role);
  // nullopt: none any more. What the change does to open sessions is the caller's to see to (judge()).
  boost::asio::awaitable<Result<void>> set_key_exceptions(Actor actor, std::string name, std::optional<KeyExceptions> exceptions);
  // nullopt: the site's rules again. Holds for forwards that are asked for from now on.
  boost::asio::awaitable<Result<void>> set_forwards(Actor actor, std::string name, std::optional<ForwardRules> rules);
  // With keys and browser sessions; history and audit stay.
  boost::asio::awaitable<Result<void>> remove_user(Actor actor, std::string name);
  // `expires_at` zero: never, or as late as the policy allows.
  boost::asio::awaitable<Result<Key>> add_key(Actor actor, std::string user, std::string line, Timestamp expires_at, bool dry_run = false);
  // Adds a key and supersedes what it replaces. Error{conflict} when it is not clear which key that is.
  boost::asio::awaitable<Result<Rotated>> rotate_key(Actor actor, Rotation rotation);
  // The first login with a key that was to retire those it replaced: answers them as they are now.
  boost::asio::awaitable<Result<std::vector<Key>>> retire_older(Actor actor, std::int64_t key_id);
  // A user cannot revoke the last of their keys that stays valid (Error{conflict}); an admin can.
  boost::asio::awaitable<Result<Key>> revoke_key(Actor actor, std::string fingerprint);
  // Counts a login with a key and remembers when and from where (that, at most once a minute for each key and address); nobody waits for it.
  void note_key_use(std::int64_t key_id, std::string address);

 private:
  Store& store_;
  const Clock& clock_;
  KeyPolicy policy_;
  std::function<void()> changed_;
  std::mutex uses_mutex_;  // of uses_ only
  std::unordered_map<std::string, Timestamp> uses_;  // "KEY ADDRESS" -> when its use was last written
};

}  // namespace berth::auth
