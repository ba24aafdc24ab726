// Changes to authorities and their revocations, and certificates of our own.
#include <algorithm>

#include "auth/audit.hpp"
#include "auth/authority_rows.hpp"
#include "auth/key_options.hpp"
#include "auth/refusals.hpp"
#include "auth/signature.hpp"
#include "base/encoding.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

constexpr std::string_view kOwnAuthority = "berth";
constexpr std::size_t kMostPrincipals = 256;
constexpr std::chrono::seconds kClockSkew{60};  // before now, for machines whose clock is a little behind
constexpr std::chrono::seconds kLongestLifetime = std::chrono::hours(24 * 366);
constexpr std::string_view kAllExtensions[] = {"permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"};

struct KindRow {
  Revocation::Kind kind;
  const char* name;
};
constexpr KindRow kKinds[] = {{Revocation::Kind::serials, "serials"},
                              {Revocation::Kind::key_id, "key_id"},
                              {Revocation::Kind::key_sha256, "key_sha256"},
                              {Revocation::Kind::key_sha1, "key_sha1"}};

const char* name_of(Revocation::Kind kind) {
  for (const KindRow& row : kKinds)
    if (row.kind == kind) return row.name;
  return "serials";
}

Error no_authority(std::string_view name) { return {ErrorKind::not_found, "there is no authority '" + stored_text(name, 64) + "'; see: berth ca list"}; }

std::string check_name(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool formed = !name.empty() && name.size() <= 32 && alphanumeric(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
    return alphanumeric(c) || c == '.' || c == '_' || c == '-';
  });
  if (!formed) return "the name of an authority has at most 32 small letters, digits, '.', '_' and '-' and begins with a letter or digit";
  return name == kOwnAuthority ? "'berth' is the authority that berthd itself holds: choose another name" : "";
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

// The private half of the site's own authority, made now if there is none.
Result<std::string> own_authority(SQLite::Database& db, Timestamp now, const Actor& actor) {
  {
    SQLite::Statement row = query(db, "SELECT private_key FROM authorities WHERE name = ? AND private_key <> ''", kOwnAuthority);
    if (row.executeStep()) return text_in(row, 0);
  }
  auto pem = make_signing_key();
  if (!pem) return pem;
  const auto blob = signing_key_blob(*pem);
  if (!blob) return blob.error();
  run(db, "INSERT INTO authorities (name, fingerprint, type, blob, principals, added_at, private_key) VALUES (?, ?, 'ssh-ed25519', ?, '%u', ?, ?)",
      kOwnAuthority, fingerprint_of(*blob), Blob{*blob}, now, *pem);
  append_audit(db, now, actor, "ca.make", std::string(kOwnAuthority) + " " + fingerprint_of(*blob), "ok");
  return pem;
}

// May this caller have a certificate for themself? They must have come with a key of theirs that is in force and unrestricted.
Result<void> check_asker(SQLite::Database& db, const Actor& actor, Timestamp now) {
  const Error no_key{ErrorKind::denied, "only a login with a plain key of yours that is still valid may ask for a certificate"};
  if (!actor.certificate.empty() || actor.key_fingerprint.empty()) return no_key;
  SQLite::Statement row = query(db,
                                "SELECT k.options, k.expires_at FROM keys k JOIN users u ON u.id = k.user_id WHERE u.name = ? AND u.disabled = 0 AND "
                                "k.fingerprint = ? AND k.revoked_at = 0",
                                actor.name, actor.key_fingerprint);
  if (!row.executeStep()) return no_key;
  if (const Timestamp expires_at = time_in(row, 1); expires_at != Timestamp{} && expires_at <= now) return no_key;
  const auto may = permissions_of(text_in(row, 0));
  if (!may) return may.error();
  if (!may->restriction().empty() || may->from)
    return Error{ErrorKind::denied, "this key is restricted (" + std::string(may->from ? "from" : may->restriction()) + "), a certificate would not be"};
  return {};
}

}  // namespace

Authority authority_in(const SQLite::Statement& row) {
  Authority authority;
  authority.name = text_in(row, 0);
  authority.fingerprint = text_in(row, 1);
  authority.type = text_in(row, 2);
  authority.blob = text_in(row, 3);
  const std::string rules = text_in(row, 4);
  for (std::size_t at = 0; at <= rules.size();) {
    const std::size_t end = std::min(rules.find('\n', at), rules.size());
    if (end > at) authority.principals.push_back(rules.substr(at, end - at));
    at = end + 1;
  }
  authority.added_at = time_in(row, 5);
  authority.issues = row.getColumn(6).getInt() != 0;
  authority.revoked = row.getColumn(7).getInt64();
  return authority;
}

std::vector<Authority> Authorities::list(SQLite::Database& reader) const {
  std::vector<Authority> authorities;
  SQLite::Statement row = query(reader, kSelectAuthorities);
  while (row.executeStep()) authorities.push_back(authority_in(row));
  return authorities;
}

std::optional<Authority> Authorities::find(SQLite::Database& reader, std::string_view name) const {
  SQLite::Statement row = query(reader, kSelectAuthorityByName, name);
  if (!row.executeStep()) return std::nullopt;
  return authority_in(row);
}

std::vector<StoredRevocation> Authorities::revocations(SQLite::Database& reader, std::string_view name) const {
  std::vector<StoredRevocation> list;
  SQLite::Statement row = query(reader,
                                "SELECT kind, first_serial, last_serial, value, added_at FROM certificate_revocations WHERE authority IN "
                                "((SELECT fingerprint FROM authorities WHERE name = ?), '') ORDER BY id",
                                name);
  while (row.executeStep()) {
    StoredRevocation stored;
    const std::string kind = text_in(row, 0);
    for (const KindRow& each : kKinds)
      if (kind == each.name) stored.revocation.kind = each.kind;
    stored.revocation.first = serial_of(row.getColumn(1).getInt64());
    stored.revocation.last = serial_of(row.getColumn(2).getInt64());
    stored.revocation.value = text_in(row, 3);
    stored.added_at = time_in(row, 4);
    list.push_back(std::move(stored));
  }
  return list;
}

asio::awaitable<Result<Authority>> Authorities::add(Actor actor, std::string name, std::string public_key, std::vector<std::string> principals) {
  if (actor.role != Role::admin) co_return only_admins();
  if (std::string why = check_name(name); !why.empty()) co_return Error{ErrorKind::invalid, std::move(why)};
  if (principals.empty()) principals.emplace_back("%u");
  if (principals.size() > kMostPrincipals) co_return Error{ErrorKind::too_large, "an authority has at most 256 rules for principals"};
  for (const std::string& rule : principals) {
    if (std::string why = check_principal_rule(rule); !why.empty()) co_return Error{ErrorKind::invalid, std::move(why)};
  }
  Result<Key> key = parse_key_(public_key);
  if (!key) co_return key.error();
  Authority made{name, key->fingerprint, key->type, key->blob, principals, false, clock_.now(), 0};
  auto change = [made, actor](SQLite::Database& db) -> Result<void> {
    {
      SQLite::Statement row = query(db, "SELECT name FROM authorities WHERE name = ? OR fingerprint = ?", made.name, made.fingerprint);
      if (row.executeStep()) return Error{ErrorKind::conflict, "there is an authority with this " + std::string(text_in(row, 0) == made.name ? "name" : "key") + " already"};
    }
    run(db, "INSERT INTO authorities (name, fingerprint, type, blob, principals, added_at) VALUES (?, ?, ?, ?, ?, ?)", made.name, made.fingerprint, made.type,
        Blob{made.blob}, joined(made.principals), made.added_at);
    append_audit(db, made.added_at, actor, "ca.add", made.name + " " + made.fingerprint, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  if (!done) co_return done.error();
  co_return made;
}

asio::awaitable<Result<void>> Authorities::remove(Actor actor, std::string name) {
  if (actor.role != Role::admin) co_return only_admins();
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    if (run(db, "DELETE FROM authorities WHERE name = ?", name) == 0) return no_authority(name);
    append_audit(db, now, actor, "ca.remove", name, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

Result<Revocation> Authorities::revocation_of_key(std::string_view line) const {
  const std::size_t blank = std::min(line.find_first_of(" \t"), line.size());
  if (!is_certificate_type(line.substr(0, blank))) {
    const Result<Key> key = parse_key_(line);
    if (!key) return key.error();
    return Revocation{Revocation::Kind::key_sha256, {}, 0, 0, sha256(key->blob)};
  }
  std::string_view text = line.substr(std::min(line.find_first_not_of(" \t", blank), line.size()));
  text = text.substr(0, std::min(text.find_first_of(" \t\r\n"), text.size()));
  const auto blob = base64_decode(text);
  if (!blob) return Error{ErrorKind::invalid, "the certificate is damaged: copy the whole line of the -cert.pub file"};
  const auto certificate = parse_certificate(*blob);
  if (!certificate) return certificate.error();
  return Revocation{Revocation::Kind::key_sha256, {}, 0, 0, sha256(certificate->key_blob)};
}

asio::awaitable<Result<std::size_t>> Authorities::revoke(Actor actor, std::string name, std::vector<Revocation> revocations) {
  if (actor.role != Role::admin) co_return only_admins();
  auto entries = std::make_shared<const std::vector<Revocation>>(std::move(revocations));
  auto added = std::make_shared<std::size_t>(0);
  auto change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto authority = find(db, name);
    if (!authority) return no_authority(name);
    std::size_t count = 0;
    SQLite::Statement insert(db,
                             "INSERT INTO certificate_revocations (authority, kind, first_serial, last_serial, value, added_at) VALUES (?, ?, ?, ?, ?, ?) "
                             "ON CONFLICT DO NOTHING");
    for (const Revocation& each : *entries) {
      const bool by_authority = each.kind == Revocation::Kind::serials || each.kind == Revocation::Kind::key_id;
      std::string fingerprint;
      if (by_authority) fingerprint = each.authority_blob.empty() ? authority->fingerprint : fingerprint_of(each.authority_blob);
      insert.reset();
      bind_one(insert, 1, fingerprint);
      bind_one(insert, 2, name_of(each.kind));
      bind_one(insert, 3, stored_serial(each.first));
      bind_one(insert, 4, stored_serial(each.last));
      bind_one(insert, 5, Blob{each.value});
      bind_one(insert, 6, now);
      count += static_cast<std::size_t>(insert.exec());
    }
    append_audit(db, now, actor, "ca.revoke", name + " " + std::to_string(count) + " of " + std::to_string(entries->size()) + " new", "ok");
    *added = count;
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  if (!done) co_return done.error();
  co_return *added;
}

asio::awaitable<Result<IssuedCertificate>> Authorities::issue(Actor actor, std::string user, std::string public_key, std::chrono::seconds lifetime) {
  const bool by_admin = actor.role == Role::admin && actor.certificate.empty() && actor.name != user;
  if (!by_admin && actor.name != user) co_return only_admins();
  if (!by_admin && lifetime_.count() == 0) co_return Error{ErrorKind::denied, "this site issues no certificates; ask an admin, or use your key"};
  if (lifetime.count() == 0) lifetime = lifetime_;
  if (lifetime.count() <= 0) co_return Error{ErrorKind::invalid, "say how long it is to live: the settings have no certificates.lifetime"};
  if (lifetime > (by_admin ? kLongestLifetime : lifetime_))
    co_return Error{ErrorKind::invalid, "a certificate lives at most " + format_duration(by_admin ? kLongestLifetime : lifetime_) + " here"};
  Result<Key> key = parse_key_(public_key);
  if (!key) co_return key.error();
  auto made = std::make_shared<IssuedCertificate>();
  auto change = [=, subject = std::move(*key), now = clock_.now()](SQLite::Database& db) -> Result<void> {
    {
      SQLite::Statement known = query(db, "SELECT 1 FROM users WHERE name = ?", user);
      if (!known.executeStep()) return Error{ErrorKind::not_found, "there is no user '" + stored_text(user, 64) + "'"};
    }
    if (!by_admin) {
      if (auto fits = check_asker(db, actor, now); !fits) return fits;
    }
    const auto pem = own_authority(db, now, actor);
    if (!pem) return pem.error();
    IssuedCertificate issued{{}, user, user + "@berth", subject.fingerprint, 0, std::chrono::floor<std::chrono::seconds>(now) - kClockSkew,
                             std::chrono::ceil<std::chrono::seconds>(now) + lifetime};
    run(db, "INSERT INTO issued_certificates (user, key_fingerprint, by_key, issued_by, issued_at, valid_before) VALUES (?, ?, ?, ?, ?, ?)", user,
        subject.fingerprint, by_admin ? std::string() : actor.key_fingerprint, actor.name, now, issued.valid_before);
    issued.serial = static_cast<std::uint64_t>(db.getLastInsertRowid());
    Certificate wanted;
    wanted.key_type = subject.type;
    wanted.key_blob = subject.blob;
    wanted.serial = issued.serial;
    wanted.kind = kUserCertificate;
    wanted.key_id = issued.key_id;
    wanted.principals = {user};
    wanted.valid_after = static_cast<std::uint64_t>(issued.valid_after.time_since_epoch() / std::chrono::seconds(1));
    wanted.valid_before = static_cast<std::uint64_t>(issued.valid_before.time_since_epoch() / std::chrono::seconds(1));
    for (const std::string_view extension : kAllExtensions) wanted.extensions.emplace_back(extension, "");
    const auto blob = issue_certificate(wanted, *pem);
    if (!blob) return blob.error();
    WireReader fields(*blob);
    issued.line = std::string(fields.string()) + " " + base64_encode(*blob) + " " + issued.key_id;
    append_audit(db, now, actor, "ca.issue", user + " " + subject.fingerprint + " serial " + std::to_string(issued.serial) + " for " + format_duration(lifetime), "ok");
    *made = std::move(issued);
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  if (!done) co_return done.error();
  co_return *made;
}

}  // namespace berth::auth
