#include "auth/web_logins.hpp"

#include "auth/audit.hpp"
#include "auth/login_code.hpp"
#include "auth/web_rows.hpp"
#include "auth/web_tries.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

constexpr std::chrono::seconds kLinkLife{60}, kCodeLife{300}, kCrossingLife{30}, kSeenInterval{60};
constexpr std::int64_t kMostCodesOfNetwork = 10, kMostCodes = 10'000;
constexpr std::int64_t kMostCookiesOfWorkspace = 16;  // of one session: some browsers' tabs cross at the same moment

Error no_login_key() { return {ErrorKind::denied, "only a login with an SSH key that is still valid may open the web"}; }
Error link_gone() { return {ErrorKind::not_found, "this link does not work any more: a link works once, for a minute; ask for a new one"}; }
Error code_gone() { return {ErrorKind::not_found, "there is no such code: it may have run out (after 5 minutes) or have been used"}; }
Error crossing_gone() { return {ErrorKind::not_found, "this page was opened too late or twice: open the workspace from the portal again"}; }

// RFC 8628 6.1: consonants only, so that no words appear; people type it.
constexpr std::string_view kCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ";

std::string new_code() {
  const std::string letters = random_text(8, kCodeAlphabet);
  return letters.substr(0, 4) + "-" + letters.substr(4);
}

}  // namespace

struct WebLogins::Impl {
  Store& store;
  const Clock& clock;
  std::chrono::seconds lifetime;
  KeyPolicy policy;
  WrongTries wrong{5, std::chrono::seconds(60)};
};

WebLogins::WebLogins(Store& store, const Clock& clock, std::chrono::seconds session_lifetime, KeyPolicy policy)
    : impl_(new Impl{store, clock, session_lifetime, std::move(policy)}) {}
WebLogins::~WebLogins() = default;

asio::awaitable<Result<std::string>> WebLogins::make_link(Actor user) {
  const std::string token = new_token();
  auto change = [=, this, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    const auto approver = approver_by_key(db, impl_->policy, user.name, user.key_fingerprint, now);
    if (!approver) return no_login_key();
    purge_expired(db, now);
    run(db, "INSERT INTO web_links (token_hash, user_id, key_id, expires_at) VALUES (?, ?, ?, ?)", Blob{sha256(token)}, approver->user.id, approver->key.id,
        now + kLinkLife);
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return token;
}

asio::awaitable<Result<NewWebSession>> WebLogins::redeem_link(std::string token, std::string address, std::string user_agent) {
  auto made = std::make_shared<NewWebSession>();
  auto change = [=, this, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    std::int64_t user_id = 0, key_id = 0;
    {
      SQLite::Statement row = query(db, "DELETE FROM web_links WHERE token_hash = ? AND expires_at > ? RETURNING user_id, key_id", Blob{sha256(token)}, now);
      if (!row.executeStep()) return link_gone();
      user_id = row.getColumn(0).getInt64();
      key_id = row.getColumn(1).getInt64();
    }
    const auto approver = approver_by_id(db, impl_->policy, user_id, key_id, now);
    if (!approver) return link_gone();
    *made = insert_web_session(db, *approver, address, user_agent, now, impl_->lifetime, "link");
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return *made;
}

asio::awaitable<Result<WebLogins::NewCode>> WebLogins::ask_code(std::string address, std::string user_agent) {
  const NewCode made{new_code(), new_token()};
  auto change = [=, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    const std::string network = network_of(address);
    run(db, "DELETE FROM web_codes WHERE expires_at <= ?", now);
    SQLite::Statement open = query(db, "SELECT count(*), coalesce(sum(network = ?), 0) FROM web_codes", network);
    open.executeStep();
    if (open.getColumn(0).getInt64() >= kMostCodes || open.getColumn(1).getInt64() >= kMostCodesOfNetwork) {
      return Error{ErrorKind::unavailable, "too many codes are open from your address: wait a few minutes, or use the link of 'berth web'"};
    }
    run(db, "INSERT INTO web_codes (code_hash, secret_hash, network, address, user_agent, asked_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        Blob{sha256(made.code)}, Blob{sha256(made.browser_secret)}, network, stored_text(address, 64), stored_text(user_agent, 256), now, now + kCodeLife);
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return made;
}

Result<PendingLogin> WebLogins::find_code(SQLite::Database& reader, const Actor& user, std::string_view typed) {
  const Timestamp now = impl_->clock.now();
  if (auto allowed = impl_->wrong.check(user.name, now); allowed.has_error()) return allowed.error();
  PendingLogin pending;
  pending.code = normal_code(typed);
  SQLite::Statement row = query(reader, "SELECT address, user_agent, asked_at FROM web_codes WHERE code_hash = ? AND expires_at > ? AND user_id IS NULL",
                                Blob{sha256(pending.code)}, now);
  if (!row.executeStep()) {
    impl_->wrong.add(user.name, now);
    return code_gone();
  }
  pending.address = text_in(row, 0);
  pending.user_agent = text_in(row, 1);
  pending.asked_at = time_in(row, 2);
  return pending;
}

asio::awaitable<Result<void>> WebLogins::approve_code(Actor user, std::string code) {
  const Timestamp now = impl_->clock.now();
  if (auto allowed = impl_->wrong.check(user.name, now); allowed.has_error()) co_return allowed.error();
  auto change = [=, this](SQLite::Database& db) -> Result<void> {
    const auto approver = approver_by_key(db, impl_->policy, user.name, user.key_fingerprint, now);
    if (!approver) return no_login_key();
    const int approved = run(db, "UPDATE web_codes SET user_id = ?, key_id = ? WHERE code_hash = ? AND expires_at > ? AND user_id IS NULL",
                             approver->user.id, approver->key.id, Blob{sha256(normal_code(code))}, now);
    if (approved == 0) return code_gone();
    append_audit(db, now, user, "web.approve", user.name, "ok");
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error() && done.error().kind == ErrorKind::not_found) impl_->wrong.add(user.name, now);
  co_return done;
}

asio::awaitable<Result<NewWebSession>> WebLogins::redeem_code(std::string browser_secret, std::string address, std::string user_agent) {
  auto made = std::make_shared<NewWebSession>();
  auto change = [=, this, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    const std::string hash = sha256(browser_secret);
    std::int64_t user_id = 0, key_id = 0;
    {
      SQLite::Statement row =
          query(db, "SELECT coalesce(user_id, 0), coalesce(key_id, 0) FROM web_codes WHERE secret_hash = ? AND expires_at > ?", Blob{hash}, now);
      if (!row.executeStep()) return code_gone();
      user_id = row.getColumn(0).getInt64();
      key_id = row.getColumn(1).getInt64();
    }
    if (user_id == 0) return Error{ErrorKind::conflict, "nobody has approved this code yet"};
    const auto approver = approver_by_id(db, impl_->policy, user_id, key_id, now);
    if (!approver) return code_gone();
    run(db, "DELETE FROM web_codes WHERE secret_hash = ?", Blob{hash});
    *made = insert_web_session(db, *approver, address, user_agent, now, impl_->lifetime, "code");
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return *made;
}

std::optional<WebLogins::Valid> WebLogins::check(SQLite::Database& reader, std::string_view cookie) {
  const Timestamp now = impl_->clock.now();
  auto valid = valid_session(reader, impl_->policy, "s.cookie_hash = ?", Blob{sha256(cookie)}, now);
  if (valid && now - valid->session.last_seen_at >= kSeenInterval) {
    // The condition makes repeats, until this is committed, free of disk writes.
    impl_->store.post("browser seen", [id = valid->session.id, now](SQLite::Database& db) -> Result<void> {
      run(db, "UPDATE web_sessions SET last_seen_at = ? WHERE id = ? AND last_seen_at <= ?", now, id, now - kSeenInterval);
      return {};
    });
  }
  return valid;
}

std::vector<WebSession> WebLogins::list(SQLite::Database& reader, std::string_view user) const {
  const Timestamp now = impl_->clock.now();
  std::vector<WebSession> sessions;
  SQLite::Statement row = query(reader, "SELECT s.id FROM web_sessions s JOIN users u ON u.id = s.user_id WHERE u.name = ? ORDER BY s.created_at", user);
  while (row.executeStep()) {
    if (auto valid = valid_session(reader, impl_->policy, text_in(row, 0), now)) sessions.push_back(std::move(valid->session));
  }
  return sessions;
}

asio::awaitable<Result<void>> WebLogins::end(Actor actor, std::string session_id) {
  auto change = [=, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    const std::int64_t any = actor.role == Role::admin ? 1 : 0;
    const int ended = run(db, "DELETE FROM web_sessions WHERE id = ? AND (? = 1 OR user_id = (SELECT id FROM users WHERE name = ?))", session_id, any, actor.name);
    if (ended == 0) return Error{ErrorKind::not_found, "there is no such browser session"};
    append_audit(db, now, actor, "web.logout", session_id, "ok");
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  co_return done;
}

asio::awaitable<Result<std::string>> WebLogins::make_crossing(std::string session_id, Place place, std::string bound_to) {
  const std::string code = new_token();
  auto change = [=, this, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    if (!valid_session(db, impl_->policy, session_id, now)) return Error{ErrorKind::denied, "log in first"};
    run(db, "DELETE FROM web_crossings WHERE expires_at <= ?", now);
    run(db, "INSERT INTO web_crossings (code_hash, session_id, owner, workspace, app, bound_to, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)", Blob{sha256(code)},
        session_id, place.owner, place.workspace, place.app, Blob{bound_to}, now + kCrossingLife);
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return code;
}

asio::awaitable<Result<WebLogins::Crossed>> WebLogins::redeem_crossing(std::string code, std::string held) {
  auto crossed = std::make_shared<Crossed>();
  crossed->cookie = new_token();
  auto change = [=, this, now = impl_->clock.now()](SQLite::Database& db) -> Result<void> {
    std::string session_id;
    Place& place = crossed->place;
    {
      SQLite::Statement row =
          query(db, "DELETE FROM web_crossings WHERE code_hash = ? AND expires_at > ? AND bound_to = ? RETURNING session_id, owner, workspace, app",
                Blob{sha256(code)}, now, Blob{held.empty() ? std::string() : hex_encode(sha256(held))});
      if (!row.executeStep()) return crossing_gone();
      session_id = text_in(row, 0);
      place = {text_in(row, 1), text_in(row, 2), text_in(row, 3)};
    }
    auto valid = valid_session(db, impl_->policy, session_id, now);
    if (!valid) return crossing_gone();
    crossed->valid = std::move(*valid);
    run(db, "INSERT INTO web_workspace_cookies (cookie_hash, session_id, owner, workspace, app, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        Blob{sha256(crossed->cookie)}, session_id, place.owner, place.workspace, place.app, now);
    run(db,
        "DELETE FROM web_workspace_cookies WHERE session_id = ?1 AND owner = ?2 AND workspace = ?3 AND app = ?4 AND rowid NOT IN (SELECT rowid FROM "
        "web_workspace_cookies WHERE session_id = ?1 AND owner = ?2 AND workspace = ?3 AND app = ?4 ORDER BY created_at DESC, rowid DESC LIMIT ?5)",
        session_id, place.owner, place.workspace, place.app, kMostCookiesOfWorkspace);
    return {};
  };
  auto done = co_await impl_->store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return *crossed;
}

std::optional<WebLogins::Valid> WebLogins::check_workspace_cookie(SQLite::Database& reader, std::string_view cookie, const Place& place) const {
  SQLite::Statement row = query(reader, "SELECT session_id FROM web_workspace_cookies WHERE cookie_hash = ? AND owner = ? AND workspace = ? AND app = ?",
                                Blob{sha256(cookie)}, place.owner, place.workspace, place.app);
  if (!row.executeStep()) return std::nullopt;
  return valid_session(reader, impl_->policy, text_in(row, 0), impl_->clock.now());
}

}  // namespace berth::auth
