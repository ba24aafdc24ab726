#include "auth/shares.hpp"

#include "auth/audit.hpp"
#include "auth/ids.hpp"
#include "auth/rows.hpp"
#include "auth/store_change.hpp"
#include "auth/web_rows.hpp"

namespace berth::auth {
namespace asio = boost::asio;
namespace {

constexpr char kSelect[] =
    "SELECT s.id, o.name, s.workspace, s.port, coalesce(w.name, ''), s.created_at, s.expires_at, s.owner_id, s.key_id, coalesce(w.disabled, 0) "
    "FROM port_shares s JOIN users o ON o.id = s.owner_id LEFT JOIN users w ON w.id = s.with_id WHERE ";

struct Row {
  Share share;
  std::int64_t owner_id = 0, key_id = 0;
  bool visitor_disabled = false;
};

Row row_in(const SQLite::Statement& row) {
  Row found;
  found.share = {text_in(row, 0), text_in(row, 1), text_in(row, 2), static_cast<std::uint16_t>(row.getColumn(3).getInt()), text_in(row, 4), time_in(row, 5), time_in(row, 6)};
  found.owner_id = row.getColumn(7).getInt64();
  found.key_id = row.getColumn(8).getInt64();
  found.visitor_disabled = row.getColumn(9).getInt() != 0;
  return found;
}

bool is_good(SQLite::Database& db, const KeyPolicy& policy, const Row& row, Timestamp now) {
  return row.share.expires_at > now && !row.visitor_disabled && approver_by_id(db, policy, row.owner_id, row.key_id, now).has_value();
}

std::vector<Share> good_rows(SQLite::Database& db, const KeyPolicy& policy, SQLite::Statement rows, Timestamp now) {
  std::vector<Share> shares;
  while (rows.executeStep()) {
    Row row = row_in(rows);
    if (is_good(db, policy, row, now)) shares.push_back(std::move(row.share));
  }
  return shares;
}

// As it stands in the audit trail; begins with the user it is about.
std::string object_of(const Share& share) {
  return share.owner + " " + share.id + " " + share.owner + "+" + share.workspace + " port " + std::to_string(share.port) + " with " +
         (share.with.empty() ? "everybody" : share.with);
}

// The row id of whom to share with; 0: everybody.
Result<std::int64_t> visitor_id(SQLite::Database& db, const std::string& with, const std::string& owner) {
  if (with.empty()) return std::int64_t{0};
  if (with == owner) return Error{ErrorKind::invalid, "your own ports are open to you already"};
  SQLite::Statement row = query(db, "SELECT id FROM users WHERE name = ?", with);
  if (!row.executeStep()) return Error{ErrorKind::not_found, "there is no user '" + with + "'"};
  return row.getColumn(0).getInt64();
}

Result<void> check_room(const std::vector<Share>& own, const Share& wanted) {
  if (own.size() >= Shares::kMostOfOwner) return Error{ErrorKind::conflict, "you share 100 ports already: end one first"};
  for (const Share& share : own)
    if (share.workspace == wanted.workspace && share.port == wanted.port && share.with == wanted.with)
      return Error{ErrorKind::conflict, "this port is shared so already, as " + share.id + ": end that first"};
  return {};
}

}  // namespace

asio::awaitable<Result<Share>> Shares::create(Actor actor, std::string workspace, std::uint16_t port, std::string with, std::chrono::seconds lifetime) {
  if (lifetime < std::chrono::minutes(1) || lifetime > kLongest) co_return Error{ErrorKind::invalid, "a port is shared for a minute to 31 days"};
  if (port == 0) co_return Error{ErrorKind::invalid, "a port is a number from 1 to 65535"};
  std::function<Result<Share>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<Share> {
    const auto approver = approver_by_key(db, policy_, actor.name, actor.key_fingerprint, now);
    if (!approver) return Error{ErrorKind::denied, "a share rests on a key of yours: log in with one"};
    run(db, "DELETE FROM port_shares WHERE expires_at <= ?", now);
    const Share share{new_id('h'), actor.name, workspace, port, with, now, now + lifetime};
    const auto visitor = visitor_id(db, with, actor.name);
    if (!visitor) return visitor.error();
    const auto own = good_rows(db, policy_, query(db, (std::string(kSelect) + "s.owner_id = ?").c_str(), approver->user.id), now);
    if (auto room = check_room(own, share); room.has_error()) return room.error();
    run(db, "INSERT INTO port_shares (id, owner_id, key_id, workspace, port, with_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, nullif(?, 0), ?, ?)", share.id,
        approver->user.id, approver->key.id, workspace, std::int64_t{port}, *visitor, now, share.expires_at);
    append_audit(db, now, actor, "share.create", object_of(share), "ok");
    return share;
  };
  auto made = co_await write_answer<Share>(store_, std::move(change));
  co_return made;
}

asio::awaitable<Result<Share>> Shares::end(Actor actor, std::string id) {
  std::function<Result<Share>(SQLite::Database&)> change = [=, now = clock_.now()](SQLite::Database& db) -> Result<Share> {
    const std::int64_t any = actor.role == Role::admin ? 1 : 0;
    Share share;
    {
      SQLite::Statement row = query(db, (std::string(kSelect) + "s.id = ? AND (? = 1 OR o.name = ?)").c_str(), id, any, actor.name);
      if (!row.executeStep()) return Error{ErrorKind::not_found, "there is no such share"};
      share = row_in(row).share;
    }
    run(db, "DELETE FROM port_shares WHERE id = ?", id);
    append_audit(db, now, actor, "share.end", object_of(share), "ok");
    return share;
  };
  auto ended = co_await write_answer<Share>(store_, std::move(change));
  co_return ended;
}

std::vector<Share> Shares::list(SQLite::Database& reader, std::string_view user) const {
  const std::string sql = std::string(kSelect) + "(?1 = '' OR o.name = ?1 OR w.name = ?1 OR s.with_id IS NULL) ORDER BY o.name, s.workspace, s.port, s.created_at";
  return good_rows(reader, policy_, query(reader, sql.c_str(), user), clock_.now());
}

std::optional<Share> Shares::find(SQLite::Database& reader, std::string_view owner, std::string_view workspace, std::uint16_t port, std::string_view visitor) const {
  const std::string sql = std::string(kSelect) + "o.name = ? AND s.workspace = ? AND s.port = ? AND (s.with_id IS NULL OR w.name = ?) ORDER BY s.expires_at DESC";
  auto shares = good_rows(reader, policy_, query(reader, sql.c_str(), owner, workspace, std::int64_t{port}, visitor), clock_.now());
  if (shares.empty()) return std::nullopt;
  return std::move(shares.front());
}

bool Shares::holds(SQLite::Database& reader, std::string_view id, std::string_view visitor) const {
  const std::string sql = std::string(kSelect) + "s.id = ? AND (s.with_id IS NULL OR w.name = ?)";
  return !good_rows(reader, policy_, query(reader, sql.c_str(), id, visitor), clock_.now()).empty();
}

}  // namespace berth::auth
