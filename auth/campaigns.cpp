#include "auth/campaigns.hpp"

#include <algorithm>

#include "auth/audit.hpp"
#include "auth/refusals.hpp"
#include "auth/rows.hpp"
#include "auth/store_change.hpp"

namespace berth::auth {
namespace {
namespace asio = boost::asio;

constexpr std::size_t kMostMessage = 500;
constexpr std::chrono::seconds kShortest{60}, kLongest{std::chrono::days(3650)};
constexpr std::pair<CampaignAction, std::string_view> kActions[] = {{CampaignAction::supersede, "supersede"}, {CampaignAction::expire, "expire"}};

constexpr char kColumns[] = "id, started_at, started_by, older_than_s, deadline_at, action, message, ended_at, done_at";

// Keys that a campaign would ask for: those that could be in use and have not been replaced.
constexpr char kTargets[] =
    "k.revoked_at = 0 AND k.superseded_at = 0 AND k.added_at <= ?1 AND (k.expires_at = 0 OR k.expires_at > ?2) AND u.disabled = 0";

Campaign campaign_in(const SQLite::Statement& row) {
  Campaign campaign;
  campaign.id = row.getColumn(0).getInt64();
  campaign.started_at = time_in(row, 1);
  campaign.started_by = text_in(row, 2);
  campaign.plan.older_than = std::chrono::seconds(row.getColumn(3).getInt64());
  campaign.deadline_at = time_in(row, 4);
  campaign.plan.deadline = std::chrono::duration_cast<std::chrono::seconds>(campaign.deadline_at - campaign.started_at);
  campaign.plan.action = campaign_action_named(text_in(row, 5)).value_or(CampaignAction::supersede);
  campaign.plan.message = text_in(row, 6);
  campaign.ended_at = time_in(row, 7);
  campaign.done_at = time_in(row, 8);
  return campaign;
}

std::optional<Campaign> find_campaign(SQLite::Database& database, const char* where) {
  SQLite::Statement row(database, std::string("SELECT ") + kColumns + " FROM campaigns " + where);
  if (!row.executeStep()) return std::nullopt;
  return campaign_in(row);
}

std::optional<Campaign> running_campaign(SQLite::Database& database) { return find_campaign(database, "WHERE ended_at = 0 AND done_at = 0"); }

Result<void> check_plan(CampaignPlan& plan) {
  if (plan.older_than.count() < 0 || plan.older_than > kLongest) return Error{ErrorKind::invalid, "the age of keys must be from 0s to 3650d"};
  if (plan.deadline < kShortest || plan.deadline > kLongest) return Error{ErrorKind::invalid, "the deadline must be from 1m to 3650d ahead"};
  plan.message = stored_text(plan.message, kMostMessage);
  return {};
}

Campaign planned(const CampaignPlan& plan, const std::string& by, Timestamp now) {
  Campaign campaign;
  campaign.plan = plan;
  campaign.started_at = now;
  campaign.started_by = by;
  campaign.deadline_at = now + plan.deadline;
  return campaign;
}

// Keys with a mark whether the campaign's action was forced on them, as users with their keys.
CampaignReport grouped(Campaign campaign, SQLite::Statement row, const Directory& directory) {
  CampaignReport report{std::move(campaign), {}};
  while (row.executeStep()) {
    CampaignReport::Item item{key_in(row, 0), {}, false, {}};
    const bool forced = row.getColumn(kKeyColumnCount).getInt() != 0;
    item.verdict = directory.judge(item.key);
    item.done = !forced && item.verdict.state != KeyState::active;
    if (item.done) item.done_at = item.key.superseded_at != Timestamp{} ? item.key.superseded_at : item.key.revoked_at != Timestamp{} ? item.key.revoked_at : item.verdict.ends_at;
    if (report.users.empty() || report.users.back().user != item.key.user) report.users.push_back({item.key.user, {}});
    report.users.back().keys.push_back(std::move(item));
  }
  std::stable_sort(report.users.begin(), report.users.end(), [](const auto& a, const auto& b) { return a.done() < b.done(); });
  return report;
}

std::string summary(const CampaignPlan& plan, std::size_t keys, std::size_t users) {
  return std::string(name_of(plan.action)) + " " + std::to_string(keys) + " keys of " + std::to_string(users) + " users";
}

std::size_t count_keys(const CampaignReport& report) {
  std::size_t keys = 0;
  for (const auto& member : report.users) keys += member.keys.size();
  return keys;
}

}  // namespace

std::string_view name_of(CampaignAction action) { return action == CampaignAction::expire ? "expire" : "supersede"; }

std::optional<CampaignAction> campaign_action_named(std::string_view name) {
  for (const auto& [action, its_name] : kActions) {
    if (its_name == name) return action;
  }
  return std::nullopt;
}

bool CampaignReport::Member::done() const {
  return std::all_of(keys.begin(), keys.end(), [](const Item& item) { return item.done; });
}

Timestamp CampaignReport::Member::done_at() const {
  if (!done()) return {};
  Timestamp last{};
  for (const Item& item : keys) last = std::max(last, item.done_at);
  return last;
}

std::size_t CampaignReport::done() const {
  return static_cast<std::size_t>(std::count_if(users.begin(), users.end(), [](const Member& member) { return member.done(); }));
}

CampaignReport Campaigns::report_on(SQLite::Database& database, Campaign campaign) const {
  static const std::string kSql = std::string("SELECT ") + kKeyColumns +
                                  ", c.forced FROM campaign_keys c JOIN keys k ON k.id = c.key_id JOIN users u ON u.id = k.user_id "
                                  "WHERE c.campaign_id = ? ORDER BY u.name, k.id";
  const std::int64_t id = campaign.id;
  return grouped(std::move(campaign), query(database, kSql.c_str(), id), directory_);
}

Result<CampaignReport> Campaigns::preview(SQLite::Database& reader, CampaignPlan plan) const {
  if (const auto good = check_plan(plan); good.has_error()) return good.error();
  static const std::string kSql = std::string("SELECT ") + kKeyColumns + ", 0 FROM keys k JOIN users u ON u.id = k.user_id WHERE " + kTargets + " ORDER BY u.name, k.id";
  const Timestamp now = clock_.now();
  return grouped(planned(plan, "", now), query(reader, kSql.c_str(), now - plan.older_than, now), directory_);
}

asio::awaitable<Result<CampaignReport>> Campaigns::start(Actor actor, CampaignPlan plan) {
  if (actor.role != Role::admin) co_return only_admins();
  if (const auto good = check_plan(plan); good.has_error()) co_return good.error();
  std::function<Result<CampaignReport>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<CampaignReport> {
    if (running_campaign(db)) return Error{ErrorKind::conflict, "a campaign runs already; end it first: berth key campaign end"};
    Campaign campaign = planned(plan, actor.name, now);
    run(db, "INSERT INTO campaigns (started_at, started_by, older_than_s, deadline_at, action, message) VALUES (?, ?, ?, ?, ?, ?)", now, actor.name,
        std::int64_t{plan.older_than.count()}, campaign.deadline_at, name_of(plan.action), plan.message);
    campaign.id = db.getLastInsertRowid();
    const std::string insert = std::string("INSERT INTO campaign_keys (campaign_id, key_id) SELECT ?3, k.id FROM keys k JOIN users u ON u.id = k.user_id WHERE ") + kTargets;
    if (run(db, insert.c_str(), now - plan.older_than, now, campaign.id) == 0) {
      return Error{ErrorKind::conflict, "no key is older than " + format_duration(plan.older_than) + ": there is nobody to ask"};
    }
    CampaignReport report = report_on(db, campaign);
    append_audit(db, now, actor, "campaign.start",
                 "older than " + format_duration(plan.older_than) + ", by " + format_timestamp(campaign.deadline_at) + ": " +
                     summary(plan, count_keys(report), report.users.size()),
                 "ok");
    return report;
  };
  auto started = co_await write_answer<CampaignReport>(store_, std::move(change));
  directory_.note_change();
  co_return started;
}

asio::awaitable<Result<CampaignReport>> Campaigns::end(Actor actor) {
  if (actor.role != Role::admin) co_return only_admins();
  std::function<Result<CampaignReport>(SQLite::Database&)> change = [=, this, now = clock_.now()](SQLite::Database& db) -> Result<CampaignReport> {
    auto campaign = running_campaign(db);
    if (!campaign) return Error{ErrorKind::not_found, "no campaign runs"};
    run(db, "UPDATE campaigns SET ended_at = ? WHERE id = ?", now, campaign->id);
    campaign->ended_at = now;
    CampaignReport report = report_on(db, *campaign);
    append_audit(db, now, actor, "campaign.end", std::to_string(report.done()) + " of " + std::to_string(report.users.size()) + " users had replaced their keys", "ok");
    return report;
  };
  auto ended = co_await write_answer<CampaignReport>(store_, std::move(change));
  directory_.note_change();
  co_return ended;
}

std::optional<CampaignReport> Campaigns::report(SQLite::Database& reader) const {
  auto campaign = find_campaign(reader, "ORDER BY id DESC LIMIT 1");
  if (!campaign) return std::nullopt;
  return report_on(reader, std::move(*campaign));
}

std::optional<Campaigns::Asked> Campaigns::asked_of(SQLite::Database& reader, std::string_view user) const {
  static const std::string kSql = std::string("SELECT ") + kKeyColumns +
                                  " FROM keys k JOIN users u ON u.id = k.user_id JOIN campaign_keys c ON c.key_id = k.id AND c.campaign_id = ? WHERE u.name = ? ORDER BY k.id";
  auto campaign = running_campaign(reader);
  if (!campaign) return std::nullopt;
  Asked asked{std::move(*campaign), {}};
  SQLite::Statement row = query(reader, kSql.c_str(), asked.campaign.id, user);
  while (row.executeStep()) {
    Key key = key_in(row, 0);
    if (directory_.judge(key).state == KeyState::active) asked.keys.push_back(std::move(key));
  }
  if (asked.keys.empty()) return std::nullopt;
  return asked;
}

Timestamp campaign_deadline(SQLite::Database& database) {
  const auto campaign = running_campaign(database);
  return campaign ? campaign->deadline_at : Timestamp{};
}

std::vector<Key> take_campaign_action(SQLite::Database& database, const Directory& directory, Timestamp now) {
  const auto campaign = running_campaign(database);
  if (!campaign || campaign->deadline_at > now) return {};
  static const std::string kSql =
      std::string("SELECT ") + kKeyColumns + " FROM campaign_keys c JOIN keys k ON k.id = c.key_id JOIN users u ON u.id = k.user_id WHERE c.campaign_id = ? ORDER BY k.id";
  std::vector<Key> left, ended;
  {
    SQLite::Statement row = query(database, kSql.c_str(), campaign->id);
    while (row.executeStep()) {
      Key key = key_in(row, 0);
      if (decide(key, directory.policy(), now).state == KeyState::active) left.push_back(std::move(key));
    }
  }
  const Actor berthd{"berthd", Role::admin, "clock", ""};
  const bool expires = campaign->plan.action == CampaignAction::expire;
  std::size_t users = 0;
  std::string last_user;
  for (Key& key : left) {
    if (expires) {
      run(database, "UPDATE keys SET expires_at = ? WHERE id = ?", now, key.id);
    } else {
      const auto grace = policy_for(directory.policy(), key.exceptions, now).grace;
      run(database, "UPDATE keys SET superseded_at = ?, grace_ends_at = ? WHERE id = ?", now, now + grace, key.id);
    }
    run(database, "UPDATE campaign_keys SET forced = 1 WHERE campaign_id = ? AND key_id = ?", campaign->id, key.id);
    append_audit(database, now, berthd, expires ? "key.expire" : "key.supersede", key.user + " " + key.fingerprint + " by the campaign", "ok");
    users += key.user == last_user ? 0 : 1;
    last_user = key.user;
    if (auto changed = directory.find_key(database, key.fingerprint); changed && !decide(*changed, directory.policy(), now).allowed()) ended.push_back(std::move(*changed));
  }
  run(database, "UPDATE campaigns SET done_at = ? WHERE id = ?", now, campaign->id);
  append_audit(database, now, berthd, "campaign.deadline", summary(campaign->plan, left.size(), users), "ok");
  return ended;
}

}  // namespace berth::auth
