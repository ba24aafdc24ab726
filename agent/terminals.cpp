#include "agent/terminals.hpp"

#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <csignal>

#include "agent/program.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent {
using nlohmann::json;
namespace wire = tunnels::wire;

namespace {

constexpr std::uint64_t kLongestKept = 366ULL * 86400;
constexpr std::size_t kMostListed = 64, kLongestText = 120;  // what fits into one message

WindowSize read_window(const json& object) {
  auto side = [&](const char* key) { return static_cast<std::uint16_t>(number_field(object, key, 65535)); };
  return {side("columns"), side("rows"), side("width"), side("height")};
}

bool flag(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && *found == true;
}

std::int64_t milliseconds_of(PtySession::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string shown(std::string text) {
  if (text.size() > kLongestText) text.resize(kLongestText);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return wire::encode_bytes(text);
}

PtySession::Viewing viewing_of(const Request& request) {
  if (request.descriptors.size() != 2) throw BadRequest("two pipes must come with it");
  for (const auto& pipe : request.descriptors) ::fcntl(pipe.get(), F_SETFL, ::fcntl(pipe.get(), F_GETFL) | O_NONBLOCK);
  return {request.reply, request.connection_id, std::move(request.descriptors[0]), std::move(request.descriptors[1])};
}

std::string describe_program(const Request& request) {
  if (request.has("command")) return request.bytes("command");
  std::string words;
  if (request.has("argv"))
    for (const auto& word : decode_list(request.fields["argv"], "argv")) words += (words.empty() ? "" : " ") + word;
  return words;
}

}  // namespace

void Terminals::exec(const Request& request) {
  const json& pty = request.fields["pty"];
  if (!pty.is_object()) throw BadRequest("'pty' is no object");
  if (find(request)) throw BadRequest("'op' is in use");
  PtySession::About about{new_id(), describe_program(request), 0, read_window(pty), {}};
  auto kept = std::count_if(terminals_.begin(), terminals_.end(), [](const auto& entry) { return entry.second->about().keep.count() > 0; });
  if (pty.contains("keep_s") && static_cast<std::size_t>(kept) < kMostKept)
    about.keep = std::chrono::seconds(static_cast<std::int64_t>(number_field(pty, "keep_s", kLongestKept)));
  auto viewing = viewing_of(request);
  std::string modes;
  if (auto found = pty.find("modes"); found != pty.end() && found->is_string())
    modes = wire::decode_bytes(found->get_ref<const std::string&>()).value_or("");
  auto terminal = open_terminal(about.size, modes);
  if (!terminal) return request.reply.error(terminal.error());
  SpawnPlan plan = plan_program(request, user_, terminal->name);
  plan.stdin_fd = plan.stdout_fd = plan.stderr_fd = terminal->slave.get();
  auto pid = spawn(plan);
  if (!pid) return request.reply.error(pid.error());
  about.pid = *pid;
  const std::string id = about.id;
  auto session = std::make_unique<PtySession>(
      loop_, std::move(about), std::move(terminal->master), [this] { bound_output(); }, [this, id] { terminals_.erase(id); });
  auto& kept_session = *terminals_.emplace(id, std::move(session)).first->second;
  children_.add(*pid, [this, id](int status) {
    if (auto found = terminals_.find(id); found != terminals_.end()) found->second->process_ended(status);
  });
  request.reply.done({{"pid", *pid}, {"terminal", id}});
  kept_session.add_viewer(std::move(viewing));
}

void Terminals::attach(const Request& request) {
  auto found = terminals_.find(request.text("id"));
  if (found == terminals_.end() || !found->second->attachable())
    return request.reply.error({ErrorKind::not_found, "there is no such terminal; it may have ended"});
  if (find(request)) throw BadRequest("'op' is in use");
  PtySession& session = *found->second;
  const WindowSize size = read_window(request.fields);
  auto viewing = viewing_of(request);
  const auto& output = session.output();
  viewing.from = output.begin();
  std::string restore;
  const std::uint64_t wanted = request.has("from") ? request.number("from", UINT64_MAX) : UINT64_MAX;
  if (wanted >= output.begin() && wanted <= output.end()) {
    viewing.from = wanted;  // the viewer has seen everything before
  } else {
    const std::uint64_t most = request.has("replay") ? request.number("replay", UINT64_MAX) : UINT64_MAX;
    if (output.size() > most) viewing.from = output.line_start(output.end() - most);
    restore = output.state_at(viewing.from).restore();
  }
  if (flag(request.fields, "alone")) session.drop_viewers("taken over from elsewhere");
  const bool watch_only = viewing.watch_only = flag(request.fields, "watch");
  const bool same_size = size.columns == session.about().size.columns && size.rows == session.about().size.rows;
  if (!watch_only && size.columns && size.rows && !same_size) session.resize(size, nullptr);
  const auto& about = session.about();
  request.reply.done({{"pid", about.pid}, {"terminal", about.id}, {"from", viewing.from}, {"restore", wire::encode_bytes(restore)},
                      {"columns", about.size.columns}, {"rows", about.size.rows}, {"title", shown(session.state().title())}});
  session.add_viewer(std::move(viewing));
  if (!watch_only && same_size) session.provoke_redraw();
}

void Terminals::list(const Request& request) const {
  json items = json::array();
  for (const auto& [id, session] : terminals_) {
    if (items.size() == kMostListed) break;
    if (!session->attachable()) continue;
    const auto& about = session->about();
    json item{{"id", id}, {"title", shown(session->state().title())}, {"command", shown(about.command)}, {"columns", about.size.columns},
              {"rows", about.size.rows}, {"started_ms", milliseconds_of(session->started())}, {"attached", session->viewers()},
              {"ended", session->ended()}, {"bytes", session->output().end()}, {"kept", about.keep.count() > 0}};
    if (auto since = session->detached_since()) item["detached_ms"] = milliseconds_of(*since);
    items.push_back(std::move(item));
  }
  request.reply.done({{"terminals", std::move(items)}});
}

void Terminals::resize(const Request& request) {
  auto size = read_window(request.fields);
  if (auto* session = find(request)) session->resize(size, &request.reply);
}

void Terminals::signal(const Request& request) {
  int number = signal_number(request.text("name"));
  if (auto* session = find(request); session && number && !session->ended()) ::kill(-session->about().pid, number);
}

void Terminals::hang_up(const Request& request) {
  auto found = terminals_.find(request.text("id"));
  if (found != terminals_.end()) found->second->hang_up();
}

void Terminals::signal_all(int number) {
  for (const auto& [id, session] : terminals_)
    if (!session->ended()) ::kill(-session->about().pid, number);
}

PtySession* Terminals::find(const Request& request) {
  for (const auto& [id, session] : terminals_)
    if (session->has_viewer(request.connection_id, request.reply.op)) return session.get();
  return nullptr;
}

// Short enough to type, and not the same again after the workspace was started anew: a page may remember it.
std::string Terminals::new_id() const {
  for (;;) {
    unsigned char bytes[5] = {};
    if (::getrandom(bytes, sizeof bytes, GRND_NONBLOCK) < 0) std::generate(std::begin(bytes), std::end(bytes), std::rand);
    std::string id;
    for (unsigned char byte : bytes) id += "abcdefghijkmnpqrstuvwxyz23456789"[byte % 32];
    if (!terminals_.contains(id)) return id;
  }
}

void Terminals::bound_output() {
  std::size_t all = 0;
  PtySession* largest = nullptr;
  for (const auto& [id, session] : terminals_) {
    all += session->output().size();
    if (!largest || session->output().size() > largest->output().size()) largest = session.get();
  }
  if (all > kMostOutput) largest->shrink_output(largest->output().size() - std::min(largest->output().size(), all - kMostOutput));
}

}  // namespace berth::agent
