#include "web/upstream.hpp"

#include "base/deadline.hpp"
#include "web/lane_server.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kIdlePerTarget = 256;  // a page of many visitors: what is over this is dialled anew for each request
constexpr std::chrono::minutes kForgetAfter{5};
constexpr char kWorkspaceHost[] = "localhost";

}  // namespace

const Started* Upstreams::ready(const workspaces::WorkspaceId& id, bool with_jupyter) {
  const auto found = known_.find(id);
  if (found == known_.end()) return nullptr;
  Started& started = found->second.started;
  if (!started.link || !started.link->alive()) {
    forget(id);
    return nullptr;
  }
  if (with_jupyter && !started.jupyter) return nullptr;
  found->second.last_used = lane_.deadlines.now();
  return &started;
}

void Upstreams::remember(const workspaces::WorkspaceId& id, const Started& started) {
  Known& known = known_[id];
  const bool keep_jupyter = known.started.link == started.link && !started.jupyter;
  auto jupyter = keep_jupyter ? known.started.jupyter : started.jupyter;
  known.started = Started{started.link, std::move(jupyter)};
  known.last_used = lane_.deadlines.now();
}

void Upstreams::forget(const workspaces::WorkspaceId& id) {
  known_.erase(id);
  std::erase_if(idle_, [&](const auto& entry) { return entry.first.id == id; });
}

std::unique_ptr<Stream> Upstreams::take_kept(const Target& target) {
  const auto found = idle_.find(target);
  while (found != idle_.end() && !found->second.empty()) {  // an emptied row stays for the next one until close_unused()
    std::unique_ptr<Stream> stream = std::move(found->second.back().stream);
    found->second.pop_back();
    if (stream->idle_and_alive()) return stream;
  }
  return nullptr;
}

asio::awaitable<Result<std::unique_ptr<Stream>>> Upstreams::connect(Target target) {
  const Started* started = ready(target.id, target.jupyter());
  if (!started) co_return Error{ErrorKind::unavailable, "the workspace is not running"};
  const std::shared_ptr<tunnels::AgentLink> link = started->link;
  auto connecting = target.jupyter() ? link->connect_unix(started->jupyter->socket_path) : link->connect_tcp(kWorkspaceHost, target.port);
  auto socket = co_await with_deadline(std::move(connecting), lane_.limits().upstream_connect, "the workspace");
  if (!socket) {
    const std::string what = target.jupyter() ? "JupyterLab does not answer" : "nothing answers on port " + std::to_string(target.port) + " of the workspace";
    co_return Error{socket.error().kind == ErrorKind::timeout ? ErrorKind::timeout : ErrorKind::closed, what + ": " + socket.error().message};
  }
  ++lane_.counters.upstream_connects;
  auto stream = std::make_unique<Stream>(lane_.executor(), std::move(*socket), lane_.deadlines);
  stream->write_limit(lane_.limits().write);
  co_return stream;
}

void Upstreams::give_back(const Target& target, std::unique_ptr<Stream> stream) {
  if (lane_.stopping() || !stream->open()) return;
  auto& kept = idle_[target];
  if (kept.size() >= kIdlePerTarget) return;
  kept.push_back({std::move(stream), lane_.deadlines.now()});
}

void Upstreams::close_unused(std::chrono::steady_clock::time_point now) {
  for (auto it = idle_.begin(); it != idle_.end();) {
    std::erase_if(it->second, [&](Idle& idle) { return now - idle.since > lane_.limits().upstream_idle || !idle.stream->idle_and_alive(); });
    it = it->second.empty() ? idle_.erase(it) : std::next(it);
  }
  std::erase_if(known_, [&](const auto& entry) { return now - entry.second.last_used > kForgetAfter || !entry.second.started.link->alive(); });
}

void Upstreams::close_all() {
  idle_.clear();
  known_.clear();
}

}  // namespace berth::web
