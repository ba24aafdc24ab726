#include "workspaces/core.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {
constexpr seconds kStartPatience{5};  // how long the start of berthd waits for the keeper
constexpr int kStartAttempts = 3;     // when the keeper goes away in the middle
}  // namespace

Core::Core(ManagerOptions options, Lanes& lanes, std::vector<LaneLinks>& links, std::unique_ptr<KeeperLink> keeper, MakeLink make_link)
    : options_(std::move(options)), lanes_(lanes), links_(links), keeper_(std::move(keeper)), make_link_(std::move(make_link)) {}

Core::~Core() = default;

Core::EntryPtr Core::entry(const WorkspaceId& id) {
  EntryPtr& found = entries_[id];
  if (!found) {
    found = std::make_shared<Entry>();
    found->status.id = id;
    found->links.resize(lanes_.size());
    found->wanted.resize(lanes_.size());
  }
  return found;
}

void Core::tell(const EntryPtr& entry, std::string_view line) {
  entry->status.detail = line;
  for (Progress* report : entry->reports) (*report)(line);
  note_change(entry);
}

// Wakes who waits for this workspace, and tells who watches all.
void Core::note_change(const EntryPtr& entry) {
  entry->changed.notify();
  if (watcher_) watcher_(entry->status.id.user);
}

asio::awaitable<Result<void>> Core::start() {
  KeeperEvents events;
  events.connected = [this] { asio::co_spawn(lanes_.front()->io, synchronize_later(), asio::detached); };
  events.ended = [this](const KeeperRecord& record) { on_ended(record); };
  keeper_->start(std::move(events));
  const auto patience = steady_clock::now() + kStartPatience;
  while (!synchronized_ && !shut_down_ && steady_clock::now() < patience) co_await synchronized_changed_.wait(patience);
  if (!synchronized_) {
    co_return Error{ErrorKind::unavailable, "berth-keeper does not answer on " + options_.keeper_socket + "; workspaces cannot be started until it does"};
  }
  co_return Result<void>();
}

void Core::shutdown() {
  shut_down_ = true;
  keeper_->close();
  for (const auto& [id, entry] : entries_) {
    if (entry->listener) entry->listener->close();
    drop_links(entry);
    entry->changed.notify();
  }
  synchronized_changed_.notify();
}

asio::awaitable<void> Core::synchronize_later() {
  const auto done = co_await synchronize();
  if (done.has_error()) log_warn("workspaces.list_failed", {{"error", done.error().message}});
}

// Makes what we believe agree with what the keeper sees: after our start, and after each of its.
asio::awaitable<Result<void>> Core::synchronize() {
  const auto records = co_await keeper_->list();
  if (records.has_error()) co_return records.error();
  std::map<WorkspaceId, const KeeperRecord*> seen;
  std::size_t adopted = 0;
  for (const KeeperRecord& record : *records) seen[record.id] = &record;
  for (const auto& [id, known] : std::map(entries_)) {
    if (!known->starting && known->pid != 0 && !seen.contains(id)) set_stopped(known, WorkspaceState::stopped, "");
  }
  for (const KeeperRecord& record : *records) {
    const EntryPtr known = entry(record.id);
    if (known->starting) continue;  // its answer is newer
    apply(known, record);
    if (record.state != WorkspaceState::running) continue;
    const auto listening = listen(known, record.directory);
    if (listening.has_error()) log_error("workspaces.listen_failed", {{"user", record.id.user}, {"workspace", record.id.name}, {"error", listening.error().message}});
    ++adopted;
  }
  log_info("workspaces.synchronized", {{"known", records->size()}, {"running", adopted}});
  synchronized_ = true;
  synchronized_changed_.notify();
  co_return Result<void>();
}

void Core::apply(const EntryPtr& entry, const KeeperRecord& record) {
  if (record.state != WorkspaceState::running) {
    set_stopped(entry, record.state, record.detail);
  } else if (entry->pid != record.pid) {
    drop_links(entry);
    entry->pid = record.pid;
  }
  entry->status.state = record.state;
  entry->status.image = record.image;
  entry->status.detail = record.detail;
  entry->status.created_at = record.created_at;
  entry->status.started_at = record.state == WorkspaceState::running ? record.started_at : Timestamp{};
  entry->uid = record.uid;
  if (!record.home.empty()) entry->home = record.home;
  note_change(entry);
}

void Core::set_stopped(const EntryPtr& entry, WorkspaceState state, std::string detail) {
  entry->status.state = state;
  entry->status.detail = std::move(detail);
  entry->status.started_at = {};
  entry->pid = 0;
  drop_links(entry);
  note_change(entry);
}

void Core::on_ended(const KeeperRecord& record) {
  const auto found = entries_.find(record.id);
  if (found == entries_.end() || found->second->pid != record.pid) return;  // an earlier run of it
  log_info("workspace.ended", {{"user", record.id.user}, {"workspace", record.id.name}, {"detail", record.detail}});
  set_stopped(found->second, record.state, record.detail);
}

asio::awaitable<Result<void>> Core::open(WorkspaceId id, std::size_t lane, Progress report) {
  const EntryPtr known = entry(id);
  struct Listed {  // until we return, progress of this workspace is told to the caller
    Listed(EntryPtr e, Progress* r, std::size_t l) : entry(std::move(e)), report(r), lane(l) {
      entry->reports.push_back(report);
      ++entry->wanted[lane];
    }
    Listed(const Listed&) = delete;
    ~Listed() {
      std::erase(entry->reports, report);
      --entry->wanted[lane];
    }
    EntryPtr entry;
    Progress* report;
    std::size_t lane;
  };
  const Listed listed(known, &report, lane);
  // The fast path did not find the link. Ask the keeper even when we believe it runs: it knows, and answers at once.
  const auto ensured = co_await ensure(known);
  if (ensured.has_error()) co_return ensured.error();
  co_return co_await wait_for_link(known, lane);
}

asio::awaitable<Result<void>> Core::ensure(EntryPtr entry) {
  auto starting = entry->starting;
  if (!starting) {
    starting = entry->starting = std::make_shared<Starting>();
    // May run to its end within this call.
    asio::co_spawn(lanes_.front()->io, run_start(entry, starting), asio::detached);
  } else if (!entry->status.detail.empty() && entry->status.state == WorkspaceState::starting) {
    (*entry->reports.back())(entry->status.detail);  // a latecomer hears where the start is
  }
  while (!starting->result) co_await entry->changed.wait();
  co_return *starting->result;
}

asio::awaitable<void> Core::run_start(EntryPtr entry, std::shared_ptr<Starting> starting) {
  const WorkspaceId id = entry->status.id;
  const auto began = steady_clock::now();
  EnsureEvents events;
  events.progress = [this, entry](const std::string& line) {
    entry->status.state = WorkspaceState::starting;
    tell(entry, line);
  };
  Result<void> listening;
  events.directory = [this, entry, &listening](const std::string& directory) { listening = listen(entry, directory); };
  Result<KeeperRecord> record = Error{ErrorKind::closed, ""};
  ManagerOptions::Choice choice;
  if (options_.choose_image) choice = options_.choose_image(id);
  // What runs already was started knowing it.
  if (entry->pid == 0) {
    for (const std::string& note : choice.notes) tell(entry, note);
  }
  for (int attempt = 0; attempt < kStartAttempts && record.has_error() && record.error().kind == ErrorKind::closed; ++attempt) {
    if (attempt > 0) tell(entry, "The workspace service was restarted; trying again");
    record = co_await keeper_->ensure(id, choice.image, events);
  }
  if (record.has_value() && listening.has_error()) record = listening.error();
  if (record.has_value()) {
    apply(entry, *record);
    starting->result = Result<void>();
  } else {
    log_warn("workspace.start_failed", {{"user", id.user}, {"workspace", id.name}, {"error", record.error().message}});
    // Without the keeper we know nothing new of one that ran.
    if (entry->pid == 0) set_stopped(entry, WorkspaceState::failed, record.error().message);
    starting->result = record.error();
  }
  log_debug("workspace.ensured", {{"user", id.user}, {"workspace", id.name},
                                  {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began).count()}});
  entry->starting.reset();
  note_change(entry);
}

asio::awaitable<Result<void>> Core::stop(WorkspaceId id) {
  const EntryPtr known = entry(id);
  if (known->status.state == WorkspaceState::running) known->status.state = WorkspaceState::stopping;
  note_change(known);
  const auto stopped = co_await keeper_->stop(id);
  if (stopped.has_error()) {
    if (known->status.state == WorkspaceState::stopping) known->status.state = WorkspaceState::running;
    note_change(known);
    co_return stopped.error();
  }
  log_info("workspace.stopped", {{"user", id.user}, {"workspace", id.name}});
  if (!known->starting) set_stopped(known, WorkspaceState::stopped, "");
  co_return Result<void>();
}

asio::awaitable<Result<void>> Core::remove(WorkspaceId id, bool with_home, bool forget) {
  const EntryPtr known = entry(id);
  if (known->status.state == WorkspaceState::running) known->status.state = WorkspaceState::stopping;
  note_change(known);
  const auto removed = co_await keeper_->remove(id, with_home);
  if (removed.has_error()) {
    if (known->status.state == WorkspaceState::stopping) known->status.state = WorkspaceState::running;
    note_change(known);
    co_return removed.error();
  }
  log_info("workspace.removed", {{"user", id.user}, {"workspace", id.name}, {"with_home", with_home}});
  if (known->starting) co_return Result<void>();  // somebody wants it again already
  set_stopped(known, WorkspaceState::stopped, "");
  known->status.created_at = {};
  known->status.image.clear();
  if (forget) {
    if (known->listener) known->listener->close();
    entries_.erase(id);
  }
  note_change(known);
  co_return Result<void>();
}

asio::awaitable<Result<std::vector<WorkspaceStatus>>> Core::list(std::string user) {
  // What the keeper had before we first reached it is not known yet: ask once more, but answer in any case.
  if (!synchronized_) (void)co_await synchronize();
  std::vector<WorkspaceStatus> all;
  bool main_seen = user.empty();
  for (const auto& [id, known] : entries_) {
    if (!user.empty() && id.user != user) continue;
    main_seen = main_seen || id.name == "main";
    all.push_back(known->status);
  }
  if (!main_seen) {
    WorkspaceStatus status;
    status.id = {user, "main"};
    all.insert(all.begin(), std::move(status));
  }
  co_return all;
}

}  // namespace berth::workspaces
