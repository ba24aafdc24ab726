// The records of identity and access, as plain values. Times are UTC; a zero Timestamp is "never" or "not set".
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace berth::auth {

enum class Role { user, auditor, admin };
std::string_view name_of(Role role);

// What the site's policy of keys (Settings::Keys) is for one user instead. Stored and sent as JSON (auth/key_exceptions.hpp).
struct KeyExceptions {
  std::optional<std::chrono::seconds> max_age;       // 0: no limit
  std::optional<std::int64_t> max_per_user;          // 0: no limit
  std::optional<std::int64_t> min_rsa_bits;
  std::vector<std::string> allowed_types;            // besides the site's
  bool allow_software = false;                       // although the site requires hardware
  bool allow_untouched = false;                      // although the site requires touch
  Timestamp until{};                                 // when they end; zero: never
  std::string reason, set_by;
  Timestamp set_at{};                                // zero: there are none
  bool hold_at(Timestamp now) const { return set_at != Timestamp{} && (until == Timestamp{} || now < until); }
};

// What a user may forward instead of what the site's settings say (auth/forward_policy.hpp); parts that are not set: the site's hold.
struct ForwardRules {
  std::optional<std::vector<std::string>> kinds;          // of "local", "remote", "unix", "agent", "x11"; empty: none
  std::optional<std::vector<std::string>> permit_open;    // as in sshd_config: "HOST:PORT" with * for either, or only "any" or "none"
  std::optional<std::vector<std::string>> permit_listen;  // the same, "PORT" too
  bool empty() const { return !kinds && !permit_open && !permit_listen; }
};

struct User {
  std::int64_t id = 0;
  std::string name;  // [a-z][a-z0-9_-]{0,31}; never "root" or another system name
  Role role = Role::user;
  bool disabled = false;
  Timestamp created_at{};
  KeyExceptions key_exceptions;
  ForwardRules forwards;
};

enum class KeyState { active, superseded, expired, revoked };
std::string_view name_of(KeyState state);

struct Key {
  std::int64_t id = 0;
  std::int64_t user_id = 0;
  std::string user;         // name
  std::string type;         // "ssh-ed25519"
  std::string blob;         // wire form, binary
  std::string fingerprint;  // "SHA256:…" (RFC 4648 base64 without padding, as ssh-keygen prints it)
  std::string comment;
  Timestamp added_at{}, expires_at{}, revoked_at{}, last_used_at{};
  std::string last_used_from;  // address
  std::string options;         // as in authorized_keys, normal form (key_options.hpp); empty: none
  // Rotation: when it was replaced, until when it works on, by which key; whether it dies earlier, at that key's first login.
  Timestamp superseded_at{}, grace_ends_at{};
  std::int64_t successor_id = 0;
  std::string successor;  // fingerprint
  bool retire_on_first_use = false;
  bool retires_older = false;  // its first login retires keys that it replaced
  KeyExceptions exceptions;    // of its user
  // What such a key may do now: auth/key_policy.hpp.
};

struct WebSession {
  std::string id;  // public handle (not the cookie)
  std::string user;
  std::string key_fingerprint;  // the key that approved it; revoking the key ends the session
  std::string address, user_agent;
  Timestamp created_at{}, last_seen_at{}, expires_at{};
};

// One authenticated SSH connection or browser, and one thing done over it: a row each from open to close.
struct SessionRecord {
  std::string id;         // short public handle, e.g. "s7f3k2"
  std::string user;
  std::string workspace;  // "main"; empty for commands of the gateway itself
  std::string kind;       // "shell", "exec", "sftp", "tunnel", "listen", "gateway", "web", "connection"
  std::string detail;     // command line or target "localhost:8888"; control characters escaped, at most 256 bytes
  std::string key_fingerprint;  // of the certified key where a certificate logged in
  std::string client_address;   // "203.0.113.7:51514"
  Timestamp opened_at{}, closed_at{};  // closed_at zero: live
  std::uint64_t bytes_in = 0, bytes_out = 0;  // payload from and to the client
  std::string outcome;    // "exit 0", "signal TERM", "client left", "killed by admin", "berthd restarted", …
  std::string certificate;  // "AUTHORITY serial N id KEY-ID"; empty: a plain key
};

struct AuditRow {
  std::int64_t number = 0;
  Timestamp at{};
  std::string actor;    // user name, "admin-socket" or "-" (not authenticated)
  std::string source;   // address or "unix"
  std::string key_fingerprint;
  std::string action;   // "ssh.login", "key.add", "user.disable", …
  std::string object;
  std::string outcome;  // "ok" or why not
  std::string hash;     // hex SHA-256 over the previous row's hash and this row's fields
};

}  // namespace berth::auth
