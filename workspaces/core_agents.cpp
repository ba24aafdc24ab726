// How agents come in: listening where the keeper has mounted a folder into the workspace, admitting nobody but the
// workspace's own PID 1, one connection for each lane.
#include <unistd.h>

#include "base/log.hpp"
#include "workspaces/core.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {
constexpr seconds kAgentLimit{60};
constexpr milliseconds kAfterRefusal{10};  // somebody who dials in a loop gets no more than this of us
constexpr mode_t kSocketMode = 0666;       // the workspace's user is nobody that this machine knows; who dials is checked

asio::awaitable<void> pause_for(milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}
}  // namespace

void Core::retire() {
  retired_ = true;
  for (const auto& [id, entry] : entries_) {
    if (entry->listener) entry->listener->give_up();
    entry->changed.notify();
  }
}

void Core::send_agents_on() {
  for (const auto& [id, entry] : entries_) {
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      asio::post(lanes_[lane]->io, [this, id = id, lane] {
        if (const auto* found = links_[lane].find(id)) found->link->dial_another();
      });
    }
  }
}

Result<void> Core::listen(const EntryPtr& entry, const std::string& directory) {
  if (retired_) return {};  // the new berthd does
  if (directory.empty()) return Error{ErrorKind::protocol, "the workspace service named no folder for the agent"};
  const std::string path = directory + "/agent.sock";
  if (entry->listener && entry->listener->path() == path && ::access(path.c_str(), F_OK) == 0) return {};
  if (entry->listener) entry->listener->close();
  auto listener = tunnels::AgentListener::open(lanes_.front()->io.get_executor(), path, kSocketMode);
  if (listener.has_error()) {
    return Error{listener.error().kind, "berthd cannot listen for your workspace's agent: " + listener.error().message};
  }
  entry->listener.emplace(std::move(*listener));
  asio::co_spawn(lanes_.front()->io, accept_agents(entry), asio::detached);
  return {};
}

asio::awaitable<void> Core::accept_agents(EntryPtr entry) {
  const std::string path = entry->listener->path();
  for (;;) {
    auto socket = co_await entry->listener->accept();
    if (socket.has_error()) {
      if (socket.error().kind == ErrorKind::closed) co_return;
      log_warn("agent.accept_failed", {{"path", path}, {"error", socket.error().message}});
      co_await pause_for(milliseconds(100));
      continue;
    }
    const bool admitted = co_await admit(entry, std::move(*socket));
    if (!admitted) co_await pause_for(kAfterRefusal);
  }
}

asio::awaitable<bool> Core::admit(EntryPtr entry, tunnels::WorkspaceSocket socket) {
  const WorkspaceId id = entry->status.id;
  const auto peer = tunnels::peer_of(socket);
  if (peer.has_error()) co_return false;
  // The agent is often here before the keeper has told which process it is.
  const auto until = steady_clock::now() + kAgentLimit;
  while (entry->starting && peer->pid != entry->pid && steady_clock::now() < until) co_await entry->changed.wait(until);
  const pid_t pid = entry->pid;
  if (pid == 0 || peer->pid != pid || peer->uid != entry->uid) {
    log_warn("agent.refused", {{"user", id.user}, {"workspace", id.name}, {"pid", peer->pid}, {"uid", peer->uid}});
    co_return false;
  }
  const auto hello = co_await tunnels::read_hello(socket);
  if (hello.has_error()) {
    if (hello.error().kind == ErrorKind::conflict) {
      entry->agent_refused = hello.error().message;
      entry->changed.notify();
    }
    log_warn("agent.bad_hello", {{"user", id.user}, {"workspace", id.name}, {"error", hello.error().message}});
    co_return false;
  }
  if (entry->pid != pid || shut_down_) co_return false;
  // Lanes where somebody waits come first.
  std::optional<std::size_t> lane;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (entry->links[i] == 0 && (!lane || entry->wanted[i] > entry->wanted[*lane])) lane = i;
  }
  if (!lane) co_return false;
  const auto welcomed = tunnels::send_welcome(socket, static_cast<unsigned>(lanes_.size()), static_cast<unsigned>(*lane));
  if (welcomed.has_error()) co_return false;
  hand_over(entry, *lane, FileDescriptor(socket.release()));
  co_return true;
}

void Core::hand_over(const EntryPtr& entry, std::size_t lane, FileDescriptor socket) {
  const std::uint64_t serial = ++last_serial_;
  entry->links[lane] = serial;
  log_debug("agent.linked", {{"user", entry->status.id.user}, {"workspace", entry->status.id.name}, {"lane", lane}});
  auto install = [this, id = entry->status.id, home = entry->home, lane, serial, fd = std::move(socket)]() mutable {
    auto on_closed = [this, id, lane, serial] {
      // Later: the link is in the middle of telling us.
      asio::post(lanes_[lane]->io, [this, id, lane, serial] {
        auto& table = links_[lane].links;
        if (const auto found = table.find(id); found != table.end() && found->second.serial == serial) table.erase(found);
      });
      asio::post(lanes_.front()->io, [this, id, lane, serial] { on_link_closed(id, lane, serial); });
    };
    auto link = make_link_(lanes_[lane]->io.get_executor(), std::move(fd), std::move(on_closed));
    links_[lane].links[id] = {std::move(link), home, serial};
  };
  asio::post(lanes_[lane]->io, std::move(install));
  entry->changed.notify();
}

void Core::on_link_closed(WorkspaceId id, std::size_t lane, std::uint64_t serial) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second->links[lane] != serial) return;
  found->second->links[lane] = 0;
  log_debug("agent.link_lost", {{"user", id.user}, {"workspace", id.name}, {"lane", lane}});
}

void Core::drop_links(const EntryPtr& entry) {
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) drop_link(entry, lane);
}

void Core::drop_link(const EntryPtr& entry, std::size_t lane) {
  const std::uint64_t serial = std::exchange(entry->links[lane], 0);
  if (serial == 0) return;
  asio::post(lanes_[lane]->io, [this, id = entry->status.id, lane, serial] {
    auto& table = links_[lane].links;
    if (const auto found = table.find(id); found != table.end() && found->second.serial == serial) table.erase(found);
  });
}

asio::awaitable<Result<void>> Core::wait_for_link(EntryPtr entry, std::size_t lane) {
  const auto until = steady_clock::now() + kAgentLimit;
  entry->agent_refused.clear();  // it dials again within seconds
  if (entry->links[lane] == 0) tell(entry, "Waiting for your workspace to answer");
  while (entry->links[lane] == 0) {
    if (shut_down_) co_return Error{ErrorKind::unavailable, "the gateway is stopping; connect again in a moment"};
    if (retired_) co_return Error{ErrorKind::unavailable, "the gateway was upgraded since you connected; connect again"};
    if (entry->pid == 0) {
      const std::string why = entry->status.detail;
      co_return Error{ErrorKind::unavailable, "your workspace ended while it was starting" + (why.empty() ? "" : ": " + why)};
    }
    if (!entry->agent_refused.empty()) co_return Error{ErrorKind::unavailable, entry->agent_refused + " (berth workspace stop)"};
    if (steady_clock::now() >= until) {
      co_return Error{ErrorKind::timeout, "your workspace runs but does not answer; `berth workspace reset` makes it anew and keeps your home"};
    }
    co_await entry->changed.wait(until);
  }
  // Not "starting" any more, so what it was doing then is no news.
  if (entry->status.state == WorkspaceState::running) entry->status.detail.clear();
  co_return Result<void>();
}

}  // namespace berth::workspaces
