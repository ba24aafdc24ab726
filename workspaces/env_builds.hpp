// Conda environments as berthd sees them: plans, installs and switches, through the keeper. The work is done on lane 0; a Job tells the
// caller's lane how it goes and outlives a caller that leaves.
#pragma once
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "auth/environments.hpp"
#include "base/lane.hpp"
#include "workspaces/keeper_link.hpp"

namespace berth::workspaces {

// Touched on one lane only.
class Job {
 public:
  explicit Job(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  // Until there is an event or the outcome, or `limit` has passed.
  boost::asio::awaitable<void> wait(std::chrono::milliseconds limit);
  std::optional<nlohmann::json> next_event();
  const std::optional<Result<nlohmann::json>>& outcome() const { return outcome_; }
  void add(nlohmann::json event);  // the oldest of more than 500 are dropped
  void finish(Result<nlohmann::json> outcome);

 private:
  void wake();
  boost::asio::any_io_executor executor_;
  std::deque<nlohmann::json> events_;
  std::optional<Result<nlohmann::json>> outcome_;
  std::list<boost::asio::steady_timer*> waiting_;
};

class EnvBuilds {
 public:
  EnvBuilds(Lanes& lanes, Store& store, const Clock& clock, std::unique_ptr<KeeperLink> keeper);
  void start();  // on lane 0
  void shutdown() { keeper_->close(); }

  auth::Environments& rows() { return rows_; }
  bool busy() const { return running_ > 0; }  // from any thread

  enum class Act { plan, check, install, verify, rollback, set_default, remove, collect };
  struct Request {
    Act act = Act::plan;
    std::string user, name;
    std::string yaml, lock;     // of a plan or a check
    std::string plan;           // to install
    std::int64_t revision = 0;  // of a rollback
    bool is_default = true;
  };
  // May be called on any lane; the Job belongs to it. Its outcome: what docs/api.md says, {} where that is an Environment.
  std::shared_ptr<Job> begin(Lane& lane, auth::Actor actor, Request request);

 private:
  struct Plan {
    std::string user, name, yaml, lock, lock_hash;
    std::int64_t packages = 0;
    Timestamp expires_at{};
  };
  using Outcome = Result<nlohmann::json>;
  using Events = std::function<void(const nlohmann::json& message)>;
  boost::asio::awaitable<void> run(Lane* lane, std::shared_ptr<Job> job, auth::Actor actor, Request request);
  boost::asio::awaitable<Outcome> act(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> plan(Request request, Events events);
  boost::asio::awaitable<Outcome> install(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> verify(Request request, Events events);
  boost::asio::awaitable<Outcome> rollback(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> collect(std::string user);
  // Tells the keeper which revisions of the user are current.
  boost::asio::awaitable<Result<void>> apply(std::string user);
  boost::asio::awaitable<void> apply_all();
  std::optional<auth::EnvironmentRevision> current(const std::string& user, const std::string& name);

  Lanes& lanes_;
  const Clock& clock_;
  auth::Environments rows_;
  std::unique_ptr<SQLite::Database> reader_;
  std::unique_ptr<KeeperLink> keeper_;
  std::map<std::string, Plan> plans_;
  std::atomic<int> running_{0};
};

// Where the files of a lock lie in a workspace.
std::string environment_path(const std::string& lock_hash);
// A lock's text, checked and not too deep; it was made where a user's code runs.
Result<nlohmann::json> parse_lock(const std::string& text);
// "packages" of both kinds: {"name","version","build","channel","size_bytes","kind"}.
nlohmann::json packages_of(const nlohmann::json& lock);
// Diff of docs/api.md.
nlohmann::json diff_of(const nlohmann::json& from, const nlohmann::json& to);
// conda's explicit spec.
std::string explicit_spec(const nlohmann::json& lock);

}  // namespace berth::workspaces
