// The keeper's requests about conda environments: build (solve, adopt, install, verify), which revisions are current, and what may go.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <nlohmann/json.hpp>
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
  Result<std::filesystem::path> mount_for(const std::string& user);

  static bool answers(std::string_view what);
  // `user` has been checked. `say` gets {"build": event} while it works.
  boost::asio::awaitable<Result<nlohmann::json>> answer(std::string what, std::string user, nlohmann::json request, Say say);

 private:
  boost::asio::awaitable<Result<nlohmann::json>> build(std::string user, nlohmann::json request, Say say);
  boost::asio::awaitable<Result<nlohmann::json>> solve(std::string user, nlohmann::json request, Home home, OnBuildEvent on_event);
  boost::asio::awaitable<Result<nlohmann::json>> install(std::string user, nlohmann::json request, Home home, OnBuildEvent on_event);
  boost::asio::awaitable<Result<nlohmann::json>> step(std::string user, Home home, EnvStore::Build places, std::string id, std::vector<std::string> command,
                                                      bool network, OnBuildEvent on_event);
  boost::asio::awaitable<Result<EnvStore::Build>> begin(std::string user, Home home, std::map<std::string, std::string> files);
  boost::asio::awaitable<Result<nlohmann::json>> state(std::string user, nlohmann::json request);
  boost::asio::awaitable<Result<nlohmann::json>> collect(std::string user, nlohmann::json request);
  TreeRules rules(const Home& home, const std::string& id) const;
  // Runs blocking work beside the main thread, one piece at a time.
  template <class T>
  boost::asio::awaitable<T> aside(std::function<T()> work);

  boost::asio::any_io_executor executor_;
  const Settings& settings_;
  PodmanEngine& engine_;
  Homes& homes_;
  EnvStore store_;
  BuildContainers containers_;
  Locks locks_;
  boost::asio::thread_pool worker_{1}, looker_{1};
};

}  // namespace berth::keeper
