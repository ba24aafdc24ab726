// SSH host keys and other server secrets, kept in the store (which is 0600).
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.hpp"
#include "base/clock.hpp"
#include "base/store.hpp"

namespace berth::auth {

struct HostKey {
  std::int64_t id = 0;
  std::string type;         // "ed25519", "ecdsa", "rsa"
  std::string private_key;  // OpenSSH's PEM
  std::string blob;         // the public half in wire form
  std::string fingerprint;
  Timestamp created_at{};
  Timestamp retires_at{};  // zero: no successor yet
  bool active = false;     // used in key exchange; else its turn is still to come
};
// "ssh-ed25519 AAAA…"
std::string public_line(const HostKey& key);
// For a known_hosts file: "[box]:2222 ssh-ed25519 AAAA…" for each key (the host alone on port 22).
std::string known_hosts_text(const std::vector<HostKey>& keys, std::string_view host, std::uint16_t port);
// For a DNS zone (RFC 4255, SHA-256 only): "box IN SSHFP 4 2 …".
std::string sshfp_text(const std::vector<HostKey>& keys, std::string_view host);

// The host keys of this server and their rotation. Of each type the oldest is used in key exchange; a newer one is announced to clients
// (they learn it by hostkeys-00@openssh.com) until the older one's overlap ends and it takes over. Reads are from memory, on any thread.
class HostKeys {
 public:
  using Snapshot = std::shared_ptr<const std::vector<HostKey>>;
  struct Tools {  // of the SSH library, which stands above this folder
    Result<std::string> (*generate)(std::string_view type);            // a private key; RSA takes up to seconds
    Result<std::string> (*public_blob)(std::string_view private_key);  // its public half
  };
  HostKeys(Store& store, const Clock& clock, Tools tools, std::vector<std::string> wanted_types)
      : store_(store), clock_(clock), tools_(tools), wanted_(std::move(wanted_types)) {}

  // Loads the keys, makes those of wanted types that are missing, ends overlaps that have run out. Call once, from a plain thread.
  Result<void> start();
  Snapshot current() const;
  // Called, on the thread that made a change, after each one. Set before lanes run.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  // A private key for rotate(): not on a lane, it takes long.
  Result<std::string> generate(std::string_view type) const;
  // `overlap` zero: the new key takes over at once. Error{conflict} while a rotation of this type is under way.
  boost::asio::awaitable<Result<HostKey>> rotate(Actor actor, std::string type, std::string private_key, std::chrono::seconds overlap);
  boost::asio::awaitable<Result<void>> retire(Actor actor, std::string fingerprint);
  // Ends overlaps that have run out.
  boost::asio::awaitable<Result<void>> tick();
  // When the next overlap ends; zero: none is under way.
  Timestamp next_end() const;

 private:
  Result<std::vector<HostKey>> load(SQLite::Database& database) const;
  Result<void> end_overlaps(SQLite::Database& database, Timestamp now) const;
  Result<void> reload();

  Store& store_;
  const Clock& clock_;
  const Tools tools_;
  const std::vector<std::string> wanted_;
  std::function<void()> changed_;
  mutable std::mutex mutex_;  // of snapshot_
  Snapshot snapshot_ = std::make_shared<const std::vector<HostKey>>();
};

// A named random secret of 32 bytes, made at first use (e.g. "jupyter").
Result<std::string> load_or_make_secret(Store& store, std::string_view name);

}  // namespace berth::auth
