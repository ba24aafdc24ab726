#include "server/audit_keeper.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "auth/audit_copy.hpp"
#include "base/log.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::hours kCutInterval{1};
constexpr std::chrono::seconds kCopyInterval{1};
constexpr std::size_t kCopyAtOnce = 500;

}  // namespace

asio::awaitable<void> keep_audit_short(auth::Audit& audit, const Clock& clock, const Settings::Audit& settings, const std::atomic<bool>& ended) {
  if (settings.keep.count() == 0) co_return;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!ended) {
    std::size_t gone = 1;
    while (gone > 0) {
      const Result<std::size_t> cut = co_await audit.cut(clock.now() - settings.keep);
      if (!cut) log_warn("audit.not_cut", {{"error", cut.error().message}});
      gone = cut ? *cut : 0;
      // The cut is a row too: alone it is no reason for another one.
      if (gone > 0) log_info("audit.cut", {{"rows", gone}});
    }
    timer.expires_after(kCutInterval);
    co_await timer.async_wait(kTuple);
  }
}

asio::awaitable<void> copy_audit(auth::Audit& audit, Store& store, const Settings::Audit& settings, const std::atomic<bool>& ended) {
  if (settings.copy_to == "none") co_return;
  const auto to = settings.copy_to == "journald" ? auth::AuditCopy::To::journald : auth::AuditCopy::To::syslog;
  auth::AuditCopy copy(to, auth::AuditCopy::usual_socket(to));
  const auto reader = store.open_reader();
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::int64_t sent = audit.head(*reader);
  bool complained = false;
  while (!ended) {
    timer.expires_after(kCopyInterval);
    co_await timer.async_wait(kTuple);
    if (audit.head(*reader) <= sent) continue;
    for (const auth::AuditRow& row : audit.after(*reader, sent, kCopyAtOnce, {}, sent)) {
      const bool taken = copy.send(row);
      if (!taken && !complained) log_warn("audit.not_copied", {{"to", settings.copy_to}, {"row", row.number}});
      complained = !taken;
    }
  }
}

}  // namespace berth::server
