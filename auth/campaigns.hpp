// A campaign asks the users of old keys to replace them by a deadline, shows who has, and at the deadline does what was chosen to the
// keys that are left. One runs at a time.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/directory.hpp"

namespace berth::auth {

enum class CampaignAction { supersede, expire };
std::string_view name_of(CampaignAction action);
std::optional<CampaignAction> campaign_action_named(std::string_view name);

struct CampaignPlan {
  std::chrono::seconds older_than{};  // keys added longer ago than this
  std::chrono::seconds deadline{};    // from now; at least a minute
  CampaignAction action = CampaignAction::supersede;
  std::string message;  // to the users; one line of at most 500 bytes
};

struct Campaign {
  std::int64_t id = 0;  // 0: of a dry run
  CampaignPlan plan;
  Timestamp started_at{}, deadline_at{};
  std::string started_by;
  Timestamp ended_at{};  // by an admin, before the deadline
  Timestamp done_at{};   // when the deadline's action was taken
  bool running() const { return ended_at == Timestamp{} && done_at == Timestamp{}; }
};

struct CampaignReport {
  struct Item {
    Key key;
    KeyVerdict verdict;
    bool done = false;  // replaced, revoked or run out before the deadline's action
    Timestamp done_at{};
  };
  struct Member {
    std::string user;
    std::vector<Item> keys;
    bool done() const;
    Timestamp done_at() const;  // when the last of the keys was; zero: not yet
  };
  Campaign campaign;
  std::vector<Member> users;  // those who have not yet first, then by name
  std::size_t done() const;
};

class Campaigns {
 public:
  Campaigns(Store& store, const Clock& clock, const Directory& directory) : store_(store), clock_(clock), directory_(directory) {}

  // Error{conflict} while one runs or when no key is that old; role admin.
  boost::asio::awaitable<Result<CampaignReport>> start(Actor actor, CampaignPlan plan);
  // What start() would do now.
  Result<CampaignReport> preview(SQLite::Database& reader, CampaignPlan plan) const;
  // Before the deadline; nothing happens to keys. Error{not_found} when none runs.
  boost::asio::awaitable<Result<CampaignReport>> end(Actor actor);
  // The running one, or else the last.
  std::optional<CampaignReport> report(SQLite::Database& reader) const;

  // The running campaign and those keys of a user that it waits for; nullopt when there are none.
  struct Asked {
    Campaign campaign;
    std::vector<Key> keys;
  };
  std::optional<Asked> asked_of(SQLite::Database& reader, std::string_view user) const;

 private:
  CampaignReport report_on(SQLite::Database& database, Campaign campaign) const;

  Store& store_;
  const Clock& clock_;
  const Directory& directory_;
};

// The deadline of the running campaign; zero when none runs.
Timestamp campaign_deadline(SQLite::Database& database);
// In the caller's transaction: takes the action of a campaign whose deadline has come, once, and audits it. Answers the keys that stop
// working with it.
std::vector<Key> take_campaign_action(SQLite::Database& database, const Directory& directory, Timestamp now);

}  // namespace berth::auth
