#include "auth/tokens.hpp"

#include "auth/audit.hpp"
#include "auth/ids.hpp"
#include "auth/rows.hpp"
#include "auth/store_change.hpp"
#include "auth/web_rows.hpp"
#include "base/encoding.hpp"

namespace berth::auth {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMostName = 64, kMostUsesRemembered = 10'000;
constexpr std::chrono::seconds kUseInterval{60};
constexpr char kSelect[] =
    "SELECT t.id, t.name, u.name, k.fingerprint, t.scopes, t.created_at, t.expires_at, t.revoked_at, t.last_used_at, t.last_used_from, t.user_id, t.key_id "
    "FROM api_tokens t JOIN users u ON u.id = t.user_id JOIN keys k ON k.id = t.key_id WHERE ";

struct Row {
  ApiToken token;
  std::int64_t user_id = 0, key_id = 0;
};

Row row_in(const SQLite::Statement& row) {
  Row found;
  std::string* const texts[] = {&found.token.id, &found.token.name, &found.token.user, &found.token.key_fingerprint, &found.token.scopes};
  int column = 0;
  for (std::string* text : texts) *text = text_in(row, column++);
  Timestamp* const times[] = {&found.token.created_at, &found.token.expires_at, &found.token.revoked_at, &found.token.last_used_at};
  for (Timestamp* time : times) *time = time_in(row, column++);
  found.token.last_used_from = text_in(row, column++);
  found.user_id = row.getColumn(column++).getInt64();
  found.key_id = row.getColumn(column).getInt64();
  return found;
}

bool in_time(const ApiToken& token, Timestamp now) { return token.revoked_at == Timestamp{} && token.expires_at > now; }

Error bad_name() { return {ErrorKind::invalid, "a token's name has 1 to 64 letters, digits, '.', '_' and '-'"}; }

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kMostName) return false;
  return name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == std::string_view::npos;
}

Result<void> check_room(SQLite::Database& db, std::int64_t user_id, const std::string& name, Timestamp now) {
  SQLite::Statement row =
      query(db, "SELECT count(*), coalesce(sum(name = ?), 0) FROM api_tokens WHERE user_id = ? AND revoked_at = 0 AND expires_at > ?", name, user_id, now);
  row.executeStep();
  if (row.getColumn(1).getInt64() > 0) return Error{ErrorKind::conflict, "you have a token '" + name + "' already: revoke it first, or choose another name"};
  if (row.getColumn(0).getInt64() >= static_cast<std::int64_t>(Tokens::kMostOfUser)) return Error{ErrorKind::conflict, "you have 50 tokens already: revoke one first"};
  return {};
}

}  // namespace

asio::awaitable<Result<Tokens::New>> Tokens::create(Actor actor, std::string name, std::string scopes, std::chrono::seconds lifetime) {
  if (!is_name(name)) co_return bad_name();
  if (lifetime < std::chrono::minutes(1) || lifetime > kLongest) co_return Error{ErrorKind::invalid, "a token lives from a minute to a year"};
  std::function<Result<New>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<New> {
    const auto approver = approver_by_key(db, policy_, actor.name, actor.key_fingerprint, now);
    if (!approver) return Error{ErrorKind::denied, "a token rests on a key of yours: log in with one"};
    if (auto room = check_room(db, approver->user.id, name, now); room.has_error()) return room.error();
    New token;
    token.secret = std::string(kPrefix) + new_token();
    token.token = {new_id('t'), name, actor.name, actor.key_fingerprint, scopes, now, now + lifetime, {}, {}, {}, true};
    run(db, "INSERT INTO api_tokens (id, token_hash, user_id, key_id, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", token.token.id,
        Blob{sha256(token.secret)}, approver->user.id, approver->key.id, name, scopes, now, token.token.expires_at);
    append_audit(db, now, actor, "token.create", actor.name + " " + token.token.id + " " + name + " (" + scopes + ")", "ok");
    return token;
  };
  auto made = co_await write_answer<New>(store_, std::move(change));
  co_return made;
}

asio::awaitable<Result<ApiToken>> Tokens::revoke(Actor actor, std::string id) {
  std::function<Result<ApiToken>(SQLite::Database&)> change = [=, now = clock_.now()](SQLite::Database& db) -> Result<ApiToken> {
    ApiToken revoked;
    const std::int64_t any = actor.role == Role::admin ? 1 : 0;
    {
      SQLite::Statement row = query(db, (std::string(kSelect) + "t.id = ? AND t.revoked_at = 0 AND (? = 1 OR u.name = ?)").c_str(), id, any, actor.name);
      if (!row.executeStep()) return Error{ErrorKind::not_found, "there is no such token"};
      revoked = row_in(row).token;
    }
    run(db, "UPDATE api_tokens SET revoked_at = ? WHERE id = ?", now, id);
    revoked.revoked_at = now;
    append_audit(db, now, actor, "token.revoke", revoked.user + " " + id + " " + revoked.name, "ok");
    return revoked;
  };
  auto revoked = co_await write_answer<ApiToken>(store_, std::move(change));
  co_return revoked;
}

std::vector<ApiToken> Tokens::list(SQLite::Database& reader, std::string_view user) const {
  const Timestamp now = clock_.now();
  std::vector<ApiToken> tokens;
  SQLite::Statement row = query(reader, (std::string(kSelect) + "(? = '' OR u.name = ?) ORDER BY t.created_at DESC, t.id").c_str(), user, user);
  while (row.executeStep()) {
    Row found = row_in(row);
    found.token.usable = in_time(found.token, now) && approver_by_id(reader, policy_, found.user_id, found.key_id, now).has_value();
    tokens.push_back(std::move(found.token));
  }
  return tokens;
}

std::optional<Tokens::Valid> Tokens::check(SQLite::Database& reader, std::string_view secret, const std::string& address) {
  if (!secret.starts_with(kPrefix) || secret.size() > 128) return std::nullopt;
  const Timestamp now = clock_.now();
  SQLite::Statement row = query(reader, (std::string(kSelect) + "t.token_hash = ?").c_str(), Blob{sha256(secret)});
  if (!row.executeStep()) return std::nullopt;
  Row found = row_in(row);
  const auto approver = approver_by_id(reader, policy_, found.user_id, found.key_id, now);
  const bool good = in_time(found.token, now) && approver && opens_web(approver->key, address);
  if (is_due(found.token.id, now)) {
    store_.post("token use", [=, token = found.token](SQLite::Database& db) -> Result<void> {
      if (good) {
        run(db, "UPDATE api_tokens SET last_used_at = ?, last_used_from = ? WHERE id = ?", now, stored_text(address, kMostName), token.id);
      } else {
        append_audit(db, now, {token.user, Role::user, address, token.key_fingerprint}, "token.use", token.user + " " + token.id + " " + token.name,
                     token.revoked_at != Timestamp{} ? "token is revoked" : token.expires_at <= now ? "token is expired" : "its key or user is not valid, or not from there");
      }
      return {};
    });
  }
  if (!good) return std::nullopt;
  found.token.usable = true;
  return Valid{std::move(found.token), approver->user};
}

bool Tokens::is_due(const std::string& token_id, Timestamp now) {
  const std::lock_guard lock(mutex_);
  if (uses_.size() >= kMostUsesRemembered) uses_.clear();
  auto [found, added] = uses_.try_emplace(token_id, now);
  if (!added && now - found->second < kUseInterval) return false;
  found->second = now;
  return true;
}

}  // namespace berth::auth
