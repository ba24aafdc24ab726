// The keeper's requests about conda environments: build (solve, adopt, install, verify), which revisions are current,
// what they take of the disk, and what may go.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "keeper/build_container.hpp"
#include "keeper/env_store.hpp"
#include "keeper/locks.hpp"
#include "keeper/settings.hpp"

namespace berth::keeper {

class Environments {
 public:
  using Say = std::function<void(nlohmann::json message)>;
  Environments(boost::asio::any_io_executor executor, const Settings& settings, PodmanEngine& engine, Homes& homes);

  // Why environments are not offered on this machine; empty when they are.
  std::string missing() const;
  // Removes what a killed keeper left half done. Blocking; call it first.
  Result<void> prepare();
  boost::asio::awaitable<void> clean_up() { co_await containers_.remove_all(); }
  // What to mount into the user's workspaces; empty when environments are not offered.
  Result<EnvironmentMounts> mounts_for(const std::string& user);

  static bool answers(std::string_view what);
  // Is `owner` a name that this request may be about?
  static bool may_ask(std::string_view what, std::string_view owner);
  // `user` has been checked by may_ask(). `say` gets {"build": event} while it works.
  boost::asio::awaitable<Result<nlohmann::json>> answer(std::string what, std::string user, nlohmann::json request, Say say);

 private:
  // A build: by `user`, whose identity it has, for `owner` (the same, or kTeam).
  struct Job {
    std::string user, owner;
    Home home;
    OnBuildEvent on_event;
  };
  using Answer = boost::asio::awaitable<Result<nlohmann::json>>;
  Answer build(std::string user, nlohmann::json request, Say say);
  Answer solve(Job job, nlohmann::json request);
  Answer install(Job job, nlohmann::json request);
  Answer compare_with(const Job& job, std::string id, std::string expected);
  boost::asio::awaitable<Result<EnvStore::Build>> make(const Job& job, std::string id, std::string lock);
  Answer step(const Job& job, EnvStore::Build places, std::string id, std::vector<std::string> command, bool network);
  boost::asio::awaitable<Result<EnvStore::Build>> begin(const Job& job, std::map<std::string, std::string> files);
  Result<void> check_quota(const std::string& owner, const std::string& lock);
  TreeRules rules(const Job& job, const std::string& id) const;
  Answer state(std::string owner, nlohmann::json request);
  Answer used(std::string owner);
  Answer collect(std::string owner, nlohmann::json request);
  // Runs blocking work beside the main thread, one piece at a time on each pool.
  template <class T>
  boost::asio::awaitable<T> aside(boost::asio::thread_pool& pool, std::function<T()> work);

  boost::asio::any_io_executor executor_;
  const Settings& settings_;
  PodmanEngine& engine_;
  Homes& homes_;
  EnvStore store_;
  BuildContainers containers_;
  Locks locks_;
  boost::asio::thread_pool worker_{1}, looker_{1}, counter_{1};
};

inline Result<nlohmann::json> json_answer(nlohmann::json value) { return Result<nlohmann::json>(boost::system::in_place_value, std::move(value)); }
// An event for who waits.
nlohmann::json build_progress(std::string_view phase, std::string_view line);

template <class T>
boost::asio::awaitable<T> Environments::aside(boost::asio::thread_pool& pool, std::function<T()> work) {
  struct Shared {
    explicit Shared(const boost::asio::any_io_executor& on) : done(on, boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer done;
    std::optional<T> result;
  };
  const auto shared = std::make_shared<Shared>(executor_);
  boost::asio::post(pool, [shared, work = std::move(work), executor = executor_] {
    auto result = std::make_shared<T>(work());
    boost::asio::post(executor, [shared, result] {
      shared->result.emplace(std::move(*result));
      shared->done.cancel();
    });
  });
  while (!shared->result) {
    boost::system::error_code woken;
    co_await shared->done.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
  }
  co_return std::move(*shared->result);
}

}  // namespace berth::keeper
