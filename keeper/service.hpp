// The requests that berth-keeper answers (workspaces/keeper_protocol.hpp): a table of five, "usage", and those of
// keeper/environments.hpp; everything else is refused. Names and
// images are checked here again, whoever asks; paths, limits and mounts come from the settings alone.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "keeper/engine.hpp"
#include "keeper/environments.hpp"
#include "keeper/homes.hpp"
#include "keeper/locks.hpp"
#include "keeper/settings.hpp"

namespace berth::keeper {

// Sends one message to the peer; fine to call after it has gone.
using Say = std::function<void(nlohmann::json message)>;

class Service {
 public:
  Service(boost::asio::any_io_executor executor, const Settings& settings, Engine& engine, Homes& homes, Account berthd,
          Environments* environments = nullptr);  // null: not with this engine

  // Answers one request line with messages; the last of them holds "ok" or "error". Never throws for bad input.
  boost::asio::awaitable<void> answer(std::string line, Say say);
  // Ended workspaces are told to each watcher until `forget`.
  void forget(const void* watcher) { watchers_.erase(watcher); }
  // `watcher` names the connection: "watch" registers its Say under it.
  boost::asio::awaitable<void> answer_for(const void* watcher, std::string line, Say say);
  // Watches what runs already.
  boost::asio::awaitable<Result<void>> adopt();
  std::size_t busy() const { return busy_; }

 private:
  struct Request {
    std::int64_t op = 0;
    WorkspaceId id;
    std::string image;
    bool with_home = false;
    const void* watcher = nullptr;
    Say say;
  };
  using Outcome = Result<std::optional<KeeperRecord>>;
  using Handler = boost::asio::awaitable<Outcome> (Service::*)(Request request);
  struct Row;
  static const Row kRows[];

  Result<Request> parse(const nlohmann::json& json, const Row*& row) const;
  boost::asio::awaitable<void> answer_images(std::int64_t op, Say say);
  boost::asio::awaitable<void> answer_environments(std::int64_t op, nlohmann::json request, Say say);
  boost::asio::awaitable<Outcome> ensure(Request request);
  boost::asio::awaitable<Outcome> stop(Request request);
  boost::asio::awaitable<Outcome> remove(Request request);
  boost::asio::awaitable<Outcome> list(Request request);
  boost::asio::awaitable<Outcome> watch(Request request);
  boost::asio::awaitable<Result<void>> erase_home(WorkspaceId id);
  void watch_process(const KeeperRecord& record);
  boost::asio::awaitable<void> tell_of_end(WorkspaceId id, pid_t pid, boost::asio::posix::stream_descriptor process);

  boost::asio::any_io_executor executor_;
  const Settings& settings_;
  Engine& engine_;
  Homes& homes_;
  const Account berthd_;
  Environments* environments_;
  Locks locks_;
  std::map<const void*, Say> watchers_;
  std::map<WorkspaceId, pid_t> watched_;
  std::size_t busy_ = 0;
};

}  // namespace berth::keeper
