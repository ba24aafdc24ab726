#include "auth/web_rows.hpp"

#include <boost/asio/ip/address.hpp>

#include "auth/audit.hpp"
#include "auth/ids.hpp"
#include "auth/key_options.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {

constexpr std::size_t kMostAddress = 64, kMostUserAgent = 256;

// An address without its port and brackets.
std::string_view host_of(std::string_view address) {
  if (address.starts_with('[')) return address.substr(1, address.find(']') - 1);
  const std::size_t colon = address.find(':');
  return colon == address.rfind(':') ? address.substr(0, colon) : address;
}

std::optional<Approver> valid_approver(SQLite::Statement row, const KeyPolicy& policy, Timestamp now) {
  if (!row.executeStep()) return std::nullopt;
  Approver approver{user_in(row, 0), key_in(row, kUserColumnCount)};
  if (approver.user.disabled || !decide(approver.key, policy, now).allowed()) return std::nullopt;
  if (const auto may = permissions_of(approver.key.options); !may || !may->restriction().empty()) return std::nullopt;
  return approver;
}

const std::string& select_approver() {
  static const std::string kSql = std::string("SELECT ") + kUserColumns + ", " + kKeyColumns + " FROM users u JOIN keys k ON k.user_id = u.id WHERE ";
  return kSql;
}

std::optional<WebLogins::Valid> valid_in(SQLite::Statement row, const KeyPolicy& policy, Timestamp now) {
  if (!row.executeStep()) return std::nullopt;
  WebLogins::Valid valid;
  valid.session.id = text_in(row, 0);
  valid.session.address = text_in(row, 1);
  valid.session.user_agent = text_in(row, 2);
  valid.session.created_at = time_in(row, 3);
  valid.session.last_seen_at = time_in(row, 4);
  valid.session.expires_at = time_in(row, 5);
  valid.user = user_in(row, 6);
  const Key key = key_in(row, 6 + kUserColumnCount);
  valid.session.user = valid.user.name;
  valid.session.key_fingerprint = key.fingerprint;
  if (valid.session.expires_at <= now || valid.user.disabled || !decide(key, policy, now).allowed()) return std::nullopt;
  if (!opens_web(key, valid.session.address)) return std::nullopt;
  return valid;
}

std::string select_session(std::string_view where) {
  return std::string("SELECT s.id, s.address, s.user_agent, s.created_at, s.last_seen_at, s.expires_at, ") + kUserColumns + ", " + kKeyColumns +
         " FROM web_sessions s JOIN users u ON u.id = s.user_id JOIN keys k ON k.id = s.key_id WHERE " + std::string(where);
}

}  // namespace

bool opens_web(const Key& key, std::string_view address) {
  const auto may = permissions_of(key.options);
  return may && may->restriction().empty() && (!may->from || source_allowed(*may->from, host_of(address)));
}

std::optional<Approver> approver_by_id(SQLite::Database& database, const KeyPolicy& policy, std::int64_t user_id, std::int64_t key_id, Timestamp now) {
  return valid_approver(query(database, (select_approver() + "u.id = ? AND k.id = ?").c_str(), user_id, key_id), policy, now);
}

std::optional<Approver> approver_by_key(SQLite::Database& database, const KeyPolicy& policy, std::string_view user, std::string_view fingerprint,
                                        Timestamp now) {
  return valid_approver(query(database, (select_approver() + "u.name = ? AND k.fingerprint = ? AND k.revoked_at = 0").c_str(), user, fingerprint), policy, now);
}

NewWebSession insert_web_session(SQLite::Database& database, const Approver& approver, std::string_view address, std::string_view user_agent, Timestamp now,
                                 std::chrono::seconds lifetime, std::string_view how) {
  purge_expired(database, now);
  NewWebSession made;
  made.cookie = new_token();
  WebSession& session = made.session;
  session.id = new_id('w');
  session.user = approver.user.name;
  session.key_fingerprint = approver.key.fingerprint;
  session.address = stored_text(address, kMostAddress);
  session.user_agent = stored_text(user_agent, kMostUserAgent);
  session.created_at = session.last_seen_at = now;
  session.expires_at = now + lifetime;
  run(database,
      "INSERT INTO web_sessions (id, cookie_hash, user_id, key_id, address, user_agent, created_at, last_seen_at, expires_at) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      session.id, Blob{sha256(made.cookie)}, approver.user.id, approver.key.id, session.address, session.user_agent, now, now, session.expires_at);
  const Actor actor{session.user, approver.user.role, session.address, session.key_fingerprint};
  append_audit(database, now, actor, "web.login", std::string(how) + " " + session.id, "ok");
  return made;
}

std::optional<WebLogins::Valid> valid_session(SQLite::Database& database, const KeyPolicy& policy, const char* where, Blob value, Timestamp now) {
  return valid_in(query(database, select_session(where).c_str(), value), policy, now);
}

std::optional<WebLogins::Valid> valid_session(SQLite::Database& database, const KeyPolicy& policy, std::string_view session_id, Timestamp now) {
  return valid_in(query(database, select_session("s.id = ?").c_str(), session_id), policy, now);
}

void purge_expired(SQLite::Database& database, Timestamp now) {
  for (const char* table : {"web_links", "web_codes", "web_crossings", "web_sessions"}) {
    run(database, (std::string("DELETE FROM ") + table + " WHERE expires_at <= ?").c_str(), now);
  }
}

std::string new_token() { return base64url_encode(random_bytes(32)); }

std::string network_of(std::string_view address) {
  boost::system::error_code error;
  const auto parse = [&error](std::string_view text) {
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    return boost::asio::ip::make_address(std::string(text), error);
  };
  auto ip = parse(address);
  if (error && address.find(':') != std::string_view::npos) ip = parse(address.substr(0, address.rfind(':')));
  if (error) return stored_text(address, kMostAddress);
  if (ip.is_v6() && ip.to_v6().is_v4_mapped()) ip = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, ip.to_v6());
  if (ip.is_v4()) return ip.to_string();
  auto bytes = ip.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return boost::asio::ip::address_v6(bytes).to_string() + "/64";
}

}  // namespace berth::auth
