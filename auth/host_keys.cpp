#include "auth/host_keys.hpp"

#include "auth/rows.hpp"
#include "base/encoding.hpp"

namespace berth::auth {

std::vector<HostKey> load_host_keys(SQLite::Database& reader) {
  std::vector<HostKey> keys;
  SQLite::Statement row = query(reader, "SELECT type, private_key FROM host_keys ORDER BY type");
  while (row.executeStep()) keys.push_back({text_in(row, 0), text_in(row, 1)});
  return keys;
}

Result<void> save_host_key(Store& store, const HostKey& key, Timestamp created_at) {
  return store.write_now([key, created_at](SQLite::Database& db) -> Result<void> {
    if (run(db, "INSERT INTO host_keys (type, private_key, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", key.type, key.private_key, created_at) == 0) {
      return Error{ErrorKind::conflict, "there is a host key of type " + key.type + " already"};
    }
    return {};
  });
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
