// Certificate authorities that a site trusts, what they have revoked, logins by certificate, and certificates of our own making. Reads run on
// a lane's own reader; changes go through the store's writer and are audited in the same transaction.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/certificate.hpp"
#include "auth/directory.hpp"
#include "auth/krl.hpp"

namespace berth::auth {

struct Authority {
  std::string name;         // [a-z0-9][a-z0-9._-]{0,31}
  std::string fingerprint;
  std::string type, blob;   // its public key
  std::vector<std::string> principals;  // rules (certificate.hpp)
  bool issues = false;      // berthd holds its private key
  Timestamp added_at{};
  std::int64_t revoked = 0;  // entries of its revocation list
};

struct StoredRevocation {
  Revocation revocation;
  Timestamp added_at{};
};

// Whether a certificate lets a user in, and as what.
struct CertificateDecision {
  bool allowed = false;
  std::string why;           // for the log and the audit trail only
  bool by_authority = false;  // the signature is a trusted authority's: a refusal is worth an audit row
  User user;
  Key key;                   // the certified key; id 0, comment: the key id
  Permissions permissions;
  std::string certificate;   // "AUTHORITY serial N id KEY-ID", as SessionRecord has it
};

struct IssuedCertificate {
  std::string line;  // as a -cert.pub file holds it
  std::string user, key_id, fingerprint;  // of the certified key
  std::uint64_t serial = 0;
  Timestamp valid_after{}, valid_before{};
};

class Authorities {
 public:
  // Parses one line with a public key under the site's policy.
  using ParseKey = std::function<Result<Key>(std::string_view line)>;
  // `lifetime`: of certificates that users ask for themselves; 0: they may not.
  Authorities(Store& store, const Clock& clock, ParseKey parse_key, std::chrono::seconds lifetime)
      : store_(store), clock_(clock), parse_key_(std::move(parse_key)), lifetime_(lifetime) {}

  // `address`: of the client, without a port. Not checked here: what needs the signature of the login (verify_required).
  CertificateDecision decide(SQLite::Database& reader, std::string_view user, std::string_view blob, std::string_view address) const;

  std::vector<Authority> list(SQLite::Database& reader) const;
  std::optional<Authority> find(SQLite::Database& reader, std::string_view name) const;
  std::vector<StoredRevocation> revocations(SQLite::Database& reader, std::string_view name) const;

  // Changes: by admins only.
  boost::asio::awaitable<Result<Authority>> add(Actor actor, std::string name, std::string public_key, std::vector<std::string> principals);
  boost::asio::awaitable<Result<void>> remove(Actor actor, std::string name);
  // Entries without an authority_blob count for the authority `name` (serials, key ids) or for all certificates (keys). Answers how many are new.
  boost::asio::awaitable<Result<std::size_t>> revoke(Actor actor, std::string name, std::vector<Revocation> revocations);
  // The plain key in a public key line, or the certified one in a certificate's, for revoke().
  Result<Revocation> revocation_of_key(std::string_view line) const;

  // A certificate of the site's own authority "berth", which is made when it is first needed. `actor` asks for themself with a key of theirs
  // that is in force and unrestricted, or is an admin. `lifetime` zero: the site's.
  boost::asio::awaitable<Result<IssuedCertificate>> issue(Actor actor, std::string user, std::string public_key, std::chrono::seconds lifetime);

  // Live logins by certificate, by the id of their session: broken_uses() answers those that would be refused now (for their own expiry alone
  // none is: as in sshd, a session may outlive its certificate).
  void note_use(const std::string& session_id, std::string user, std::string blob, std::string address);
  void forget_use(const std::string& session_id);
  std::vector<std::string> broken_uses(SQLite::Database& reader) const;
  // Is `certificate` (as SessionRecord has it) one of our own that was asked for with this key?
  bool asked_for_with(SQLite::Database& reader, std::string_view certificate, std::string_view key_fingerprint) const;

 private:
  struct Use {
    std::string user, blob, address;
  };
  CertificateDecision judge(SQLite::Database& reader, std::string_view user, std::string_view blob, std::string_view address, bool expiry_counts) const;
  std::string revoked_why(SQLite::Database& reader, const Authority& authority, const Certificate& certificate, Timestamp moment) const;

  Store& store_;
  const Clock& clock_;
  const ParseKey parse_key_;
  const std::chrono::seconds lifetime_;
  mutable std::mutex mutex_;  // of uses_
  std::map<std::string, Use> uses_;
};

}  // namespace berth::auth
