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
#include "workspaces/images.hpp"
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
  // `verify_every`: each environment is built again and compared so often; 0: never by itself.
  EnvBuilds(Lanes& lanes, Store& store, const Clock& clock, std::unique_ptr<KeeperLink> keeper, Images& images, std::chrono::milliseconds verify_every);
  // These on lane 0.
  void start();
  void retire();       // another berthd serves: what was asked for is finished, and nothing more begins by itself
  void apply_again();  // tells the keeper the state once more, after another berthd that could change it has ended
  void shutdown();

  auth::Environments& rows() { return rows_; }
  bool busy() const { return running_ > 0; }  // from any thread

  enum class Act { plan, check, install, verify, rollback, set_default, remove, share, set_maintainer, collect, used };
  struct Request {
    Act act = Act::plan;
    std::string user, name;     // the owner (auth::kTeam: the team), and what it is called
    std::string builder;        // the user whose identity a build has
    std::string other;          // whose default; who is to be a maintainer
    std::string yaml, lock;     // of a plan or a check
    std::string plan;           // to install
    std::int64_t revision = 0;  // of a rollback
    bool on = true;             // of a default, of a maintainer
  };
  // May be called on any lane; the Job belongs to it. Its outcome: what docs/api.md says, {} where that is an Environment.
  std::shared_ptr<Job> begin(Lane& lane, auth::Actor actor, Request request);

 private:
  struct Plan {
    std::string user, name, yaml, lock, lock_hash;
    std::int64_t packages = 0;
    Timestamp expires_at{};
  };
  static constexpr std::chrono::seconds kSilence{60};  // of a keeper that works: it gives a sign of life every 10 s
  using Outcome = Result<nlohmann::json>;
  using Events = std::function<void(const nlohmann::json& message)>;
  boost::asio::awaitable<void> run(Lane* lane, std::shared_ptr<Job> job, auth::Actor actor, Request request);
  boost::asio::awaitable<Outcome> act(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> plan(Request request, Events events);
  boost::asio::awaitable<Outcome> install(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> verify(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> build_again(Request request, auth::EnvironmentRevision revision, Events events);
  boost::asio::awaitable<nlohmann::json> solve_again(std::string builder, auth::EnvironmentRevision revision, Events events);
  boost::asio::awaitable<Outcome> share(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Outcome> change(auth::Actor actor, Request request);
  boost::asio::awaitable<Outcome> rollback(auth::Actor actor, Request request, Events events);
  boost::asio::awaitable<Result<auth::EnvironmentRevision>> build_files(std::string builder, std::string owner, auth::EnvironmentRevision revision, Events events);
  boost::asio::awaitable<Result<void>> build_current(Request request, Events events);
  boost::asio::awaitable<Outcome> collect(std::string user);
  boost::asio::awaitable<Outcome> used(std::string owner);
  boost::asio::awaitable<void> verify_in_turn();
  boost::asio::awaitable<void> verify_one();
  boost::asio::awaitable<void> learn_images();
  // Tells the keeper which revisions of the owner are current, and what a user begins in.
  boost::asio::awaitable<Result<void>> apply(std::string owner);
  boost::asio::awaitable<void> apply_all();
  static Outcome as_result(nlohmann::json value) { return Outcome(boost::system::in_place_value, std::move(value)); }
  std::optional<auth::EnvironmentRevision> current(const std::string& user, const std::string& name);

  Lanes& lanes_;
  const Clock& clock_;
  auth::Environments rows_;
  std::unique_ptr<SQLite::Database> reader_;
  std::unique_ptr<KeeperLink> keeper_;
  Images& images_;
  const std::chrono::milliseconds verify_every_;
  boost::asio::steady_timer verify_timer_;
  bool verifies_ = false;  // in turn
  std::map<std::string, Plan> plans_;
  std::atomic<int> running_{0};
};

// Where the files of a lock lie in a workspace.
std::string environment_path(std::string_view owner, const std::string& lock_hash);
// The least glibc that all packages of a lock run with ("2.28"); empty: none asks for one.
std::string glibc_needed(const nlohmann::json& lock);
bool is_older_version(std::string_view a, std::string_view b);
// A lock's text, checked and not too deep; it was made where a user's code runs.
Result<nlohmann::json> parse_lock(const std::string& text);
// "packages" of both kinds: {"name","version","build","channel","size_bytes","kind"}.
nlohmann::json packages_of(const nlohmann::json& lock);
// Diff of docs/api.md.
nlohmann::json diff_of(const nlohmann::json& from, const nlohmann::json& to);
// conda's explicit spec.
std::string explicit_spec(const nlohmann::json& lock);

}  // namespace berth::workspaces
