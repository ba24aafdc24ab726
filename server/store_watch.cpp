#include "server/store_watch.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <set>

#include "auth/key_clock.hpp"
#include "base/log.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kLook{250};

}  // namespace

asio::awaitable<void> StoreWatch::run(std::function<bool()> others) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::int64_t seen = -1;
  for (;;) {
    timer.expires_after(kLook);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!others()) {
      seen = -1;
      continue;
    }
    const auto changes = co_await store_.foreign_changes();
    // Not to be told is no reason to let anybody stay.
    if (changes && *changes == seen) continue;
    seen = changes ? *changes : -1;
    look();
  }
}

void StoreWatch::look() {
  for (const auto& [id, reason] : sessions_.asked_to_end(*reader_)) sessions_.kill(id, reason);
  const std::vector<auth::SessionRecord> live = sessions_.live();
  judge_keys(live);
  judge_browsers(live);
  for (const std::string& id : authorities_.broken_uses(*reader_)) sessions_.kill(id, "the certificate is not accepted any more");
}

void StoreWatch::judge_keys(const std::vector<auth::SessionRecord>& live) {
  std::set<std::pair<std::string, std::string>> judged;  // user, key
  for (const auth::SessionRecord& row : live) {
    if (!row.certificate.empty() || row.key_fingerprint.empty() || !judged.emplace(row.user, row.key_fingerprint).second) continue;
    const auto key = directory_.find_key(*reader_, row.key_fingerprint);
    if (!key) {
      sessions_.kill_key(row.key_fingerprint, "The key that you came with was removed.");
      continue;
    }
    const auth::LoginDecision decision = directory_.decide_login(*reader_, row.user, key->blob);
    if (decision.allowed()) continue;
    if (decision.refusal == auth::LoginRefusal::disabled_user) {
      sessions_.kill_user(row.user, "the account was disabled");
    } else {
      sessions_.kill_key(row.key_fingerprint, auth::words_for_ended(*key, directory_.judge(*key)));
    }
  }
}

// Ending the row of a browser ends all that the browser has open.
void StoreWatch::judge_browsers(const std::vector<auth::SessionRecord>& live) {
  std::map<std::string, std::vector<auth::WebSession>> of_user;
  for (const auth::SessionRecord& row : live) {
    if (row.kind != "web") continue;
    const auto found = of_user.find(row.user);
    const auto& logins = found != of_user.end() ? found->second : of_user.emplace(row.user, logins_.list(*reader_, row.user)).first->second;
    const bool there = std::any_of(logins.begin(), logins.end(), [&](const auth::WebSession& login) {
      const std::string detail = auth::browser_detail(login.id);
      return row.detail == detail || row.detail.starts_with(detail + " ");
    });
    if (!there) sessions_.kill(row.id, "logged out");
  }
}

}  // namespace berth::server
