#include "auth/host_keys.hpp"

#include <algorithm>

#include "auth/audit.hpp"
#include "auth/refusals.hpp"
#include "auth/rows.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

constexpr std::string_view kTypes[] = {"ed25519", "ecdsa", "rsa"};
constexpr std::chrono::seconds kLongestOverlap = std::chrono::hours(24 * 366);

// RFC 4255, 6594, 7479.
struct SshfpNumber {
  std::string_view type;
  int number;
};
constexpr SshfpNumber kSshfpNumbers[] = {{"rsa", 1}, {"ecdsa", 3}, {"ed25519", 4}};

const Actor kItself{"berthd", Role::admin, "-", "", ""};

// The first string of a blob is its algorithm.
std::string algorithm_of(std::string_view blob) {
  if (blob.size() < 4) return {};
  std::size_t length = 0;
  for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(blob[static_cast<std::size_t>(i)]);
  return std::string(blob.substr(4, length));
}

Error not_wanted() { return {ErrorKind::invalid, "a host key is of type ed25519, ecdsa or rsa"}; }

}  // namespace

std::string public_line(const HostKey& key) { return algorithm_of(key.blob) + " " + base64_encode(key.blob); }

std::string known_hosts_text(const std::vector<HostKey>& keys, std::string_view host, std::uint16_t port) {
  const std::string name = port == 22 ? std::string(host) : "[" + std::string(host) + "]:" + std::to_string(port);
  std::string text;
  for (const HostKey& key : keys) text += name + " " + public_line(key) + "\n";
  return text;
}

std::string sshfp_text(const std::vector<HostKey>& keys, std::string_view host) {
  std::string text;
  for (const HostKey& key : keys) {
    for (const SshfpNumber& row : kSshfpNumbers)
      if (row.type == key.type) text += std::string(host) + " IN SSHFP " + std::to_string(row.number) + " 2 " + hex_encode(sha256(key.blob)) + "\n";
  }
  return text;
}

Result<std::vector<HostKey>> HostKeys::load(SQLite::Database& database) const {
  std::vector<HostKey> keys;
  SQLite::Statement row = query(database, "SELECT id, type, private_key, created_at, retires_at FROM host_keys ORDER BY type, id");
  while (row.executeStep()) {
    HostKey key;
    key.id = row.getColumn(0).getInt64();
    key.type = text_in(row, 1);
    key.private_key = text_in(row, 2);
    key.created_at = time_in(row, 3);
    key.retires_at = time_in(row, 4);
    key.active = keys.empty() || keys.back().type != key.type;
    auto blob = tools_.public_blob(key.private_key);
    if (!blob) return Error{ErrorKind::internal, "a host key in the store cannot be used: " + blob.error().message};
    key.blob = std::move(*blob);
    key.fingerprint = fingerprint_of(key.blob);
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<void> HostKeys::end_overlaps(SQLite::Database& database, Timestamp now) const {
  const auto keys = load(database);
  if (!keys) return keys.error();
  for (const HostKey& key : *keys) {
    if (key.retires_at == Timestamp{} || key.retires_at > now) continue;
    run(database, "DELETE FROM host_keys WHERE id = ?", key.id);
    append_audit(database, now, kItself, "hostkey.retire", key.type + " " + key.fingerprint, "ok");
  }
  return {};
}

Result<void> HostKeys::reload() {
  auto keys = load(*store_.open_reader());
  if (!keys) return keys.error();
  auto next = std::make_shared<const std::vector<HostKey>>(std::move(*keys));
  {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(next);
  }
  if (changed_) changed_();
  return {};
}

Result<void> HostKeys::start() {
  std::vector<std::pair<std::string, std::string>> made;
  {
    const auto there = load(*store_.open_reader());
    if (!there) return there.error();
    for (const std::string& type : wanted_) {
      if (std::any_of(there->begin(), there->end(), [&](const HostKey& key) { return key.type == type; })) continue;
      auto key = generate(type);
      if (!key) return key.error();
      made.emplace_back(type, std::move(*key));
    }
  }
  const auto done = store_.write_now([&, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    for (const auto& [type, key] : made) {
      run(db, "INSERT INTO host_keys (type, private_key, created_at) VALUES (?, ?, ?)", type, key, now);
      append_audit(db, now, kItself, "hostkey.make", type, "ok");
    }
    return end_overlaps(db, now);
  });
  if (!done) return done;
  return reload();
}

HostKeys::Snapshot HostKeys::current() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

Result<std::string> HostKeys::generate(std::string_view type) const {
  if (std::find(std::begin(kTypes), std::end(kTypes), type) == std::end(kTypes)) return not_wanted();
  return tools_.generate(type);
}

asio::awaitable<Result<HostKey>> HostKeys::rotate(Actor actor, std::string type, std::string private_key, std::chrono::seconds overlap) {
  if (actor.role != Role::admin) co_return only_admins();
  if (overlap < std::chrono::seconds(0) || overlap > kLongestOverlap) co_return Error{ErrorKind::invalid, "an overlap is from 0s to 366d"};
  auto blob = tools_.public_blob(private_key);
  if (!blob) co_return blob.error();
  const std::string fingerprint = fingerprint_of(*blob);
  auto change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto keys = load(db);
    if (!keys) return keys.error();
    const auto of_type = [&](const HostKey& key) { return key.type == type; };
    const auto old = std::find_if(keys->begin(), keys->end(), of_type);
    if (std::count_if(keys->begin(), keys->end(), of_type) > 1) {
      return Error{ErrorKind::conflict, "a rotation of the " + type + " host key is under way until " + format_timestamp(old->retires_at) +
                                            "; to end it now: berth hostkey retire " + old->fingerprint};
    }
    run(db, "INSERT INTO host_keys (type, private_key, created_at) VALUES (?, ?, ?)", type, private_key, now);
    if (old != keys->end()) run(db, "UPDATE host_keys SET retires_at = ? WHERE id = ?", now + overlap, old->id);
    append_audit(db, now, actor, "hostkey.rotate", type + " " + fingerprint + " overlap " + format_duration(overlap), "ok");
    return end_overlaps(db, now);
  };
  auto done = co_await store_.write(std::move(change));
  if (!done) co_return done.error();
  if (auto loaded = reload(); !loaded) co_return loaded.error();
  const Snapshot keys = current();
  const auto made = std::find_if(keys->begin(), keys->end(), [&](const HostKey& key) { return key.fingerprint == fingerprint; });
  if (made == keys->end()) co_return Error{ErrorKind::internal, "the new host key is not in the store"};
  co_return *made;
}

asio::awaitable<Result<void>> HostKeys::retire(Actor actor, std::string fingerprint) {
  if (actor.role != Role::admin) co_return only_admins();
  auto change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    const auto keys = load(db);
    if (!keys) return keys.error();
    const auto key = std::find_if(keys->begin(), keys->end(), [&](const HostKey& each) { return each.fingerprint == fingerprint; });
    if (key == keys->end()) return Error{ErrorKind::not_found, "there is no such host key; see: berth hostkey list"};
    const bool alone = std::count_if(keys->begin(), keys->end(), [&](const HostKey& each) { return each.type == key->type; }) == 1;
    const bool wanted = std::find(wanted_.begin(), wanted_.end(), key->type) != wanted_.end();
    if (alone && (wanted || keys->size() == 1)) {
      return Error{ErrorKind::conflict, "this is the only " + key->type + " host key; make its successor first: berth hostkey rotate " + key->type};
    }
    run(db, "DELETE FROM host_keys WHERE id = ?", key->id);
    // Where the successor was given up, the rotation is over.
    run(db, "UPDATE host_keys SET retires_at = 0 WHERE type = ?", key->type);
    append_audit(db, now, actor, "hostkey.retire", key->type + " " + fingerprint, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  if (!done) co_return done;
  co_return reload();
}

asio::awaitable<Result<void>> HostKeys::tick() {
  const Timestamp end = next_end(), now = clock_.now();
  if (end == Timestamp{} || end > now) co_return Result<void>{};
  auto done = co_await store_.write([this, now](SQLite::Database& db) { return end_overlaps(db, now); });
  if (!done) co_return done;
  co_return reload();
}

Timestamp HostKeys::next_end() const {
  Timestamp next{};
  for (const HostKey& key : *current()) {
    if (key.retires_at != Timestamp{} && (next == Timestamp{} || key.retires_at < next)) next = key.retires_at;
  }
  return next;
}

Result<std::string> load_or_make_secret(Store& store, std::string_view name) {
  std::string secret;
  const auto done = store.write_now([name = std::string(name), &secret](SQLite::Database& db) -> Result<void> {
    const std::string fresh = random_bytes(32);
    run(db, "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, Blob{fresh});
    SQLite::Statement row = query(db, "SELECT value FROM secrets WHERE name = ?", name);
    row.executeStep();
    secret = text_in(row, 0);
    return {};
  });
  if (done.has_error()) return done.error();
  return secret;
}

}  // namespace berth::auth
