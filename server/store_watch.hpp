// Two berthds on one store (an upgrade): what the other one changes has its effect here too, within half a second. Keys, users, certificates and browser
// logins under what is open are judged anew, and sessions that the other was asked to end are ended.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "auth/authorities.hpp"
#include "auth/sessions.hpp"
#include "auth/web_logins.hpp"

namespace berth::server {

class StoreWatch {
 public:
  StoreWatch(Store& store, const auth::Directory& directory, const auth::Authorities& authorities, const auth::WebLogins& logins, auth::Sessions& sessions)
      : store_(store), directory_(directory), authorities_(authorities), logins_(logins), sessions_(sessions), reader_(store.open_reader()) {}

  // Looks as long as `others` says that there are any; for ever. On one lane.
  boost::asio::awaitable<void> run(std::function<bool()> others);

 private:
  void look();
  void judge_keys(const std::vector<auth::SessionRecord>& live);
  void judge_browsers(const std::vector<auth::SessionRecord>& live);

  Store& store_;
  const auth::Directory& directory_;
  const auth::Authorities& authorities_;
  const auth::WebLogins& logins_;
  auth::Sessions& sessions_;
  std::unique_ptr<SQLite::Database> reader_;
};

}  // namespace berth::server
