#include "auth/sessions.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "auth/ids.hpp"
#include "auth/rows.hpp"

namespace berth::auth {
namespace {

constexpr std::size_t kMostDetail = 256, kMostField = 128;

constexpr char kColumns[] =
    "id, user, workspace, kind, detail, key_fingerprint, client_address, opened_at, closed_at, bytes_in, bytes_out, outcome, certificate";

SessionRecord record_in(const SQLite::Statement& row) {
  SessionRecord record;
  std::string* const texts[] = {&record.id, &record.user, &record.workspace, &record.kind, &record.detail, &record.key_fingerprint, &record.client_address};
  int column = 0;
  for (std::string* text : texts) *text = text_in(row, column++);
  record.opened_at = time_in(row, 7);
  record.closed_at = time_in(row, 8);
  record.bytes_in = static_cast<std::uint64_t>(row.getColumn(9).getInt64());
  record.bytes_out = static_cast<std::uint64_t>(row.getColumn(10).getInt64());
  record.outcome = text_in(row, 11);
  record.certificate = text_in(row, 12);
  return record;
}

// The row as it is now, whether it is there already or not (its insertion may have failed while the disk was full).
void put(SQLite::Database& db, const SessionRecord& r, const std::string& instance) {
  run(db,
      "INSERT INTO sessions (id, user, workspace, kind, detail, key_fingerprint, client_address, opened_at, closed_at, bytes_in, bytes_out, outcome, certificate, "
      "instance) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
      "closed_at = excluded.closed_at, bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out, outcome = excluded.outcome",
      r.id, r.user, r.workspace, r.kind, r.detail, r.key_fingerprint, r.client_address, r.opened_at, r.closed_at, static_cast<std::int64_t>(r.bytes_in),
      static_cast<std::int64_t>(r.bytes_out), r.outcome, r.certificate, instance);
}

std::string count_key(std::string_view user, std::string_view kind) { return std::string(kind) + " " + std::string(user); }

}  // namespace

struct Sessions::Impl {
  Store& store;
  const Clock& clock;
  const std::string instance;
  mutable std::mutex mutex;  // of the three below
  std::unordered_map<std::string, std::shared_ptr<LiveSession>> live;
  std::unordered_map<std::string, std::size_t> counts;  // "KIND USER" -> live ones
  std::map<std::string, Totals> ended;  // by kind; of live ones only `opened` is counted
  std::function<void(const std::string&)> watcher;

  static SessionRecord now(const LiveSession& session) {
    SessionRecord record = session.record_;
    record.bytes_in = session.bytes_in.load(std::memory_order_relaxed);
    record.bytes_out = session.bytes_out.load(std::memory_order_relaxed);
    return record;
  }

  void save(std::string_view what, SessionRecord record) {
    store.post(what, [record = std::move(record), by = instance](SQLite::Database& db) -> Result<void> {
      put(db, record, by);
      return {};
    });
  }

  template <class Matches>
  std::size_t kill(const std::string& reason, Matches matches) {
    std::vector<std::shared_ptr<LiveSession>> chosen;
    {
      const std::lock_guard lock(mutex);
      for (const auto& [id, session] : live) {
        if (matches(session->record_)) chosen.push_back(session);
      }
    }
    for (const auto& session : chosen) {
      boost::asio::post(session->executor_, [session, reason] {
        if (session->closed_) return;
        const auto tell = session->kill_;  // a copy: it may close the session, which drops the original
        if (tell) tell(reason);
      });
    }
    return chosen.size();
  }
};

Sessions::Sessions(Store& store, const Clock& clock, std::string instance) : impl_(new Impl{store, clock, std::move(instance), {}, {}, {}, {}, {}}) {}

Sessions::~Sessions() {
  for (const auto& [id, session] : impl_->live) {
    SessionRecord record = Impl::now(*session);
    record.closed_at = impl_->clock.now();
    record.outcome = "berthd stopped";
    impl_->save("session at stop", std::move(record));
  }
}

Result<void> Sessions::close_leftovers(const std::vector<std::string>& alive) {
  const std::string others = nlohmann::json(alive).dump();
  return impl_->store.write_now([now = impl_->clock.now(), &others](SQLite::Database& db) -> Result<void> {
    run(db, "UPDATE sessions SET closed_at = ?, outcome = 'berthd restarted' WHERE closed_at = 0 AND instance NOT IN (SELECT value FROM json_each(?))", now, others);
    return {};
  });
}

void Sessions::close_rows_of(const std::string& instance) {
  impl_->store.post("sessions of a berthd that ended", [now = impl_->clock.now(), instance](SQLite::Database& db) -> Result<void> {
    run(db, "UPDATE sessions SET closed_at = ?, outcome = 'berthd ended' WHERE closed_at = 0 AND instance = ?", now, instance);
    return {};
  });
}

std::vector<SessionRecord> Sessions::elsewhere(SQLite::Database& reader) const {
  static const std::string kSql = std::string("SELECT ") + kColumns + " FROM sessions WHERE closed_at = 0 AND instance <> ? ORDER BY opened_at, id";
  std::vector<SessionRecord> records;
  SQLite::Statement row = query(reader, kSql.c_str(), impl_->instance);
  while (row.executeStep()) records.push_back(record_in(row));
  return records;
}

void Sessions::kill_elsewhere(std::string id, std::string reason) {
  impl_->store.post("session to end", [id = std::move(id), reason = std::move(reason)](SQLite::Database& db) -> Result<void> {
    run(db, "UPDATE sessions SET end_wanted = ? WHERE id = ? AND closed_at = 0", reason, id);
    return {};
  });
}

std::vector<std::pair<std::string, std::string>> Sessions::asked_to_end(SQLite::Database& reader) const {
  std::vector<std::pair<std::string, std::string>> asked;
  SQLite::Statement row = query(reader, "SELECT id, end_wanted FROM sessions WHERE closed_at = 0 AND end_wanted <> '' AND instance = ?", impl_->instance);
  while (row.executeStep()) asked.emplace_back(text_in(row, 0), text_in(row, 1));
  return asked;
}

void Sessions::save_counters() {
  impl_->store.post("session counters", [records = live()](SQLite::Database& db) -> Result<void> {
    for (const SessionRecord& r : records) {
      // Not as save() does it: one that was closed meanwhile stays so.
      run(db, "UPDATE sessions SET bytes_in = ?, bytes_out = ? WHERE id = ? AND closed_at = 0", static_cast<std::int64_t>(r.bytes_in),
          static_cast<std::int64_t>(r.bytes_out), r.id);
    }
    return {};
  });
}

std::shared_ptr<LiveSession> Sessions::open(SessionRecord record, boost::asio::any_io_executor executor, std::function<void(std::string reason)> kill) {
  auto session = std::make_shared<LiveSession>();
  record.detail = stored_text(record.detail, kMostDetail);
  for (std::string* text : {&record.user, &record.workspace, &record.kind, &record.client_address}) *text = stored_text(*text, kMostField);
  record.opened_at = impl_->clock.now();
  record.closed_at = Timestamp{};
  session->executor_ = std::move(executor);
  session->kill_ = std::move(kill);
  {
    const std::lock_guard lock(impl_->mutex);
    do {
      record.id = new_id('s');
    } while (impl_->live.contains(record.id));
    session->record_ = record;
    impl_->live.emplace(record.id, session);
    ++impl_->counts[count_key(record.user, record.kind)];
    ++impl_->ended[record.kind].opened;
  }
  const std::string user = record.user;
  impl_->save("session opened", std::move(record));
  if (impl_->watcher) impl_->watcher(user);
  return session;
}

void Sessions::close(const std::shared_ptr<LiveSession>& session, std::string outcome) {
  if (session->closed_.exchange(true)) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->live.erase(session->record_.id);
    const auto count = impl_->counts.find(count_key(session->record_.user, session->record_.kind));
    if (--count->second == 0) impl_->counts.erase(count);
    Totals& totals = impl_->ended[session->record_.kind];
    totals.bytes_in += session->bytes_in.load(std::memory_order_relaxed);
    totals.bytes_out += session->bytes_out.load(std::memory_order_relaxed);
  }
  session->kill_ = nullptr;  // it may own the connection that owns the session
  SessionRecord record = Impl::now(*session);
  record.closed_at = impl_->clock.now();
  record.outcome = stored_text(outcome, kMostField);
  impl_->save("session closed", std::move(record));
  if (impl_->watcher) impl_->watcher(session->record_.user);
}

void Sessions::watch(std::function<void(const std::string& user)> changed) { impl_->watcher = std::move(changed); }

std::vector<SessionRecord> Sessions::live() const {
  std::vector<SessionRecord> records;
  {
    const std::lock_guard lock(impl_->mutex);
    records.reserve(impl_->live.size());
    for (const auto& [id, session] : impl_->live) records.push_back(Impl::now(*session));
  }
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return std::tie(a.opened_at, a.id) < std::tie(b.opened_at, b.id); });
  return records;
}

std::size_t Sessions::count(std::string_view user, std::string_view kind) const {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->counts.find(count_key(user, kind));
  return found == impl_->counts.end() ? 0 : found->second;
}

std::map<std::string, Sessions::Totals> Sessions::totals() const {
  const std::lock_guard lock(impl_->mutex);
  std::map<std::string, Totals> totals = impl_->ended;
  for (const auto& [id, session] : impl_->live) {
    Totals& of_kind = totals[session->record_.kind];
    ++of_kind.live;
    of_kind.bytes_in += session->bytes_in.load(std::memory_order_relaxed);
    of_kind.bytes_out += session->bytes_out.load(std::memory_order_relaxed);
  }
  return totals;
}

std::vector<SessionRecord> Sessions::history(SQLite::Database& reader, std::size_t limit, std::string_view user) const {
  static const std::string kAll = std::string("SELECT ") + kColumns + " FROM sessions ORDER BY opened_at DESC LIMIT ?";
  static const std::string kOfUser = std::string("SELECT ") + kColumns + " FROM sessions WHERE user = ? ORDER BY opened_at DESC LIMIT ?";
  std::vector<SessionRecord> records;
  const auto most = static_cast<std::int64_t>(std::min<std::size_t>(limit, INT32_MAX));
  SQLite::Statement row = user.empty() ? query(reader, kAll.c_str(), most) : query(reader, kOfUser.c_str(), user, most);
  while (row.executeStep()) records.push_back(record_in(row));
  const std::lock_guard lock(impl_->mutex);
  for (SessionRecord& record : records) {
    if (const auto found = impl_->live.find(record.id); found != impl_->live.end()) record = Impl::now(*found->second);
  }
  return records;
}

std::size_t Sessions::kill(std::string_view id, std::string reason) {
  return impl_->kill(reason, [id](const SessionRecord& record) { return record.id == id; });
}
std::size_t Sessions::kill_key(std::string_view fingerprint, std::string reason) {
  return impl_->kill(reason, [fingerprint](const SessionRecord& record) { return record.key_fingerprint == fingerprint; });
}
std::size_t Sessions::kill_user(std::string_view user, std::string reason) {
  return impl_->kill(reason, [user](const SessionRecord& record) { return record.user == user; });
}

}  // namespace berth::auth
