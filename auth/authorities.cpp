// Logins by certificate: pure decisions of certificate.hpp over what the store holds.
#include "auth/authorities.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

#include "auth/authority_rows.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {

std::string sha1(std::string_view bytes) {
  // Only to find what a revocation list names by its SHA-1: nothing is trusted for it.
  std::string digest(20, '\0');
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, EVP_sha1(), nullptr);
  return digest;
}

// The trusted authority with this key.
std::optional<Authority> authority_with(SQLite::Database& reader, const std::string& blob) {
  SQLite::Statement row = query(reader, kSelectAuthorityByFingerprint, fingerprint_of(blob));
  if (!row.executeStep()) return std::nullopt;
  Authority authority = authority_in(row);
  if (authority.blob != blob) return std::nullopt;
  return authority;
}

// Is there a row? The statement's last placeholders are bound to `values`.
template <class... Values>
bool any(SQLite::Database& reader, const char* sql, const Values&... values) {
  SQLite::Statement row = query(reader, sql, values...);
  return row.executeStep();
}

std::string described(const Authority& authority, const Certificate& certificate) {
  return authority.name + " serial " + std::to_string(certificate.serial) + " id " + stored_text(certificate.key_id, 128);
}

}  // namespace

std::string Authorities::revoked_why(SQLite::Database& reader, const Authority& authority, const Certificate& certificate, Timestamp moment) const {
  const std::int64_t serial = stored_serial(certificate.serial);
  if (any(reader,
          "SELECT 1 FROM certificate_revocations WHERE authority IN (?, '') AND kind = 'serials' AND first_serial <= ? AND last_serial >= ? LIMIT 1",
          authority.fingerprint, serial, serial))
    return "its serial is revoked";
  if (any(reader, "SELECT 1 FROM certificate_revocations WHERE authority IN (?, '') AND kind = 'key_id' AND value = ? LIMIT 1", authority.fingerprint,
          Blob{certificate.key_id}))
    return "its key id is revoked";
  for (const std::string* blob : {&certificate.key_blob, &certificate.authority_blob}) {
    const std::string by_sha256 = sha256(*blob), by_sha1 = sha1(*blob);
    if (any(reader, "SELECT 1 FROM certificate_revocations WHERE kind = 'key_sha256' AND value = ? LIMIT 1", Blob{by_sha256}) ||
        any(reader, "SELECT 1 FROM certificate_revocations WHERE kind = 'key_sha1' AND value = ? LIMIT 1", Blob{by_sha1}))
      return blob == &certificate.key_blob ? "its key is revoked" : "its authority's key is revoked";
  }
  // A key that was a user's own and was revoked is not let in again by a certificate.
  static constexpr char kRevokedKey[] =
      "SELECT 1 FROM keys WHERE fingerprint = ?1 AND revoked_at <> 0 AND NOT EXISTS (SELECT 1 FROM keys WHERE fingerprint = ?1 AND revoked_at = 0) LIMIT 1";
  if (any(reader, kRevokedKey, fingerprint_of(certificate.key_blob))) return "its key was revoked";
  if (!authority.issues) return {};
  SQLite::Statement issued = query(reader, "SELECT by_key, user FROM issued_certificates WHERE serial = ?", static_cast<std::int64_t>(certificate.serial));
  if (!issued.executeStep()) return "it was never issued";
  const std::string by_key = text_in(issued, 0), user = text_in(issued, 1);
  static constexpr char kGoodKey[] =
      "SELECT 1 FROM keys k JOIN users u ON u.id = k.user_id WHERE k.fingerprint = ?1 AND u.name = ?2 AND k.revoked_at = 0 AND "
      "(k.expires_at = 0 OR k.expires_at > ?3) AND (k.superseded_at = 0 OR k.grace_ends_at > ?3)";
  if (!by_key.empty() && !any(reader, kGoodKey, by_key, user, moment)) return "the key that asked for it is not good any more";
  return {};
}

CertificateDecision Authorities::judge(SQLite::Database& reader, std::string_view user, std::string_view blob, std::string_view address,
                                       bool expiry_counts) const {
  CertificateDecision decision;
  const auto refuse = [&decision](std::string why) {
    decision.why = std::move(why);
    return decision;
  };
  const Result<Certificate> certificate = parse_certificate(blob);
  if (!certificate) return refuse(certificate.error().message);
  const auto authority = authority_with(reader, certificate->authority_blob);
  if (!authority) return refuse("no trusted authority signed it");
  if (!signature_holds(*certificate)) return refuse("its signature is wrong");
  decision.by_authority = true;
  decision.certificate = described(*authority, *certificate);
  // The certified key is held to the site's policy like any other.
  Result<Key> key = parse_key_(certificate->key_type + " " + base64_encode(certificate->key_blob));
  if (!key) return refuse(key.error().message);
  decision.key = std::move(*key);
  decision.key.comment = stored_text(certificate->key_id, 128);
  // A moment at which it is valid stands in for now where its own expiry is not to count.
  const Timestamp now = clock_.now();
  Timestamp moment = now;
  if (!expiry_counts && certificate->valid_before != kForever && certificate->valid_before <= static_cast<std::uint64_t>(INT64_MAX / 2'000'000)) {
    moment = std::min(now, Timestamp(std::chrono::seconds(certificate->valid_before)) - std::chrono::seconds(1));
  }
  if (std::string why = refusal_of(*certificate, authority->principals, user, moment); !why.empty()) return refuse(std::move(why));
  if (std::string why = revoked_why(reader, *authority, *certificate, moment); !why.empty()) return refuse(std::move(why));
  decision.permissions = *permissions_of(*certificate);
  if (decision.permissions.from && !source_allowed(*decision.permissions.from, address)) return refuse("it may not be used from this address");
  static const std::string kUserSql = std::string("SELECT ") + kUserColumns + " FROM users u WHERE u.name = ?";
  SQLite::Statement row = query(reader, kUserSql.c_str(), user);
  if (!row.executeStep()) return refuse("unknown user");
  decision.user = user_in(row, 0);
  decision.key.user = decision.user.name;
  decision.key.user_id = decision.user.id;
  if (decision.user.disabled) return refuse("user is disabled");
  decision.allowed = true;
  return decision;
}

CertificateDecision Authorities::decide(SQLite::Database& reader, std::string_view user, std::string_view blob, std::string_view address) const {
  return judge(reader, user, blob, address, true);
}

bool Authorities::asked_for_with(SQLite::Database& reader, std::string_view certificate, std::string_view key_fingerprint) const {
  constexpr std::string_view kOurs = "berth serial ";
  if (!certificate.starts_with(kOurs)) return false;
  std::int64_t serial = 0;
  const std::string_view rest = certificate.substr(kOurs.size());
  if (std::from_chars(rest.data(), rest.data() + rest.size(), serial).ec != std::errc{}) return false;
  return any(reader, "SELECT 1 FROM issued_certificates WHERE serial = ? AND by_key = ?", serial, key_fingerprint);
}

void Authorities::note_use(const std::string& session_id, std::string user, std::string blob, std::string address) {
  const std::lock_guard lock(mutex_);
  uses_[session_id] = {std::move(user), std::move(blob), std::move(address)};
}

void Authorities::forget_use(const std::string& session_id) {
  const std::lock_guard lock(mutex_);
  uses_.erase(session_id);
}

std::vector<std::string> Authorities::broken_uses(SQLite::Database& reader) const {
  std::map<std::string, Use> uses;
  {
    const std::lock_guard lock(mutex_);
    uses = uses_;
  }
  std::vector<std::string> broken;
  for (const auto& [id, use] : uses) {
    if (!judge(reader, use.user, use.blob, use.address, false).allowed) broken.push_back(id);
  }
  return broken;
}

}  // namespace berth::auth
