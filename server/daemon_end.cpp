// How berthd ends: by a signal, or because another one has replaced it and nothing is left to serve.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "base/log.hpp"
#include "base/notify.hpp"
#include "server/daemon_impl.hpp"
#include "server/gateway/spawn.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kDrainLook{50};     // how often the drain looks whether all have left
constexpr std::chrono::milliseconds kUpgradeLook{250};  // the same after an upgrade, which takes hours
constexpr int kLooksPerSave = 20;                       // of the counters of what is open
constexpr int kLooksPerWord = 120;                      // in the log, about what is left
constexpr std::chrono::milliseconds kLastWords{2'000};  // after the drain: for DISCONNECT to reach clients and rows to close

}  // namespace

void Daemon::stop_accepting() {
  offered_.clear();
  for (const std::shared_ptr<Acceptor>& acceptor : ssh_acceptors_) {
    asio::post(acceptor->get_executor(), [acceptor] {
      boost::system::error_code ignored;
      acceptor->close(ignored);
    });
  }
}

asio::awaitable<void> Daemon::wait_until_empty(std::chrono::milliseconds limit) {
  asio::steady_timer look(lanes_.front()->io);
  const auto end = std::chrono::steady_clock::now() + limit;
  while (gateway_->connections() > 0 && std::chrono::steady_clock::now() < end) {
    look.expires_after(kDrainLook);
    co_await look.async_wait(kTuple);
  }
}

// `words`: what clients that are still there after `patience` are told. Only the first call does anything.
asio::awaitable<void> Daemon::end(std::chrono::seconds patience, std::string words) {
  if (stopping_.exchange(true)) co_return;
  if (!retired_) {
    notify_stopping();
    neighbours_->tell_all("stop");  // what was replaced before goes with us
  }
  log_info("berthd.stopping", {{"connections", gateway_->connections()}, {"drain_s", patience.count()}});
  stop_accepting();
  co_await wait_until_empty(patience);
  for (const auth::SessionRecord& session : sessions_->live()) {
    if (session.kind == "connection") sessions_->kill(session.id, words);
  }
  co_await wait_until_empty(kLastWords);
  commands_.stop();
  co_await web_->shutdown(kLastWords);
  note_life("berthd.stop");
  manager_->shutdown();
  environments_->shutdown();
  usage_->shutdown();
  neighbours_->close();
  for (const auto& lane : lanes_) {
    stopped_ = true;
    asio::post(lane->io, [] {});  // wakes the lane, which then sees stopped_
  }
}

asio::awaitable<void> Daemon::wait_for_signal() {
  asio::signal_set signals(lanes_.front()->io, SIGTERM, SIGINT);
  const auto [error, number] = co_await signals.async_wait(kTuple);
  (void)error;
  log_info("berthd.signal", {{"signal", number == SIGTERM ? "TERM" : "INT"}});
  signals.clear();  // a second signal ends the program at once, by its default action
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  std::string words = kStopWords;
  co_await end(settings_.server.drain, std::move(words));
}

// On lane 0. From here on `by` accepts, and is the main process of our unit: whatever we would tell systemd is its to say.
bool Daemon::retire(const web::Instance& by, std::chrono::seconds limit) {
  if (stopping_ || retired_.exchange(true)) return false;
  until_ = (clock_.now() + limit).time_since_epoch().count();
  log_info("berthd.replaced", {{"by", by.pid}, {"version", by.version}, {"connections", gateway_->connections()}, {"limit_s", limit.count()}});
  notify("MAINPID=" + std::to_string(by.pid));
  note_life("berthd.replaced");
  stop_accepting();
  web_->retire();
  manager_->retire();
  environments_->retire();
  key_watch_->end();
  spawn_logged(lanes_.front()->io.get_executor(), drain_after_upgrade(), "upgrade.drain");
  return true;
}

asio::awaitable<void> Daemon::drain_after_upgrade() {
  asio::steady_timer look(lanes_.front()->io);
  for (int looks = 0; !stopping_; ++looks) {
    if (gateway_->connections() == 0 && web_->connections() == 0 && !environments_->busy()) break;
    if (clock_.now().time_since_epoch().count() >= until_) break;
    if (looks % kLooksPerSave == 0) sessions_->save_counters();
    if (looks % kLooksPerWord == kLooksPerWord - 1)
      log_info("berthd.draining", {{"ssh", gateway_->connections()}, {"web", web_->connections()}, {"building", environments_->busy()}});
    look.expires_after(kUpgradeLook);
    co_await look.async_wait(kTuple);
  }
  std::string words = "The gateway was upgraded some time ago, and its former version ends now; your workspace goes on running. Connect again.";
  co_await end(std::chrono::seconds(0), std::move(words));
}

}  // namespace berth::server
