// GET /events: what has changed, as server-sent events, for as long as the login is good.
#include <fmt/format.h>

#include <functional>
#include <unordered_set>

#include "auth/sessions.hpp"
#include "web/api.hpp"
#include "web/events.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"
#include "workspaces/env_builds.hpp"
#include "workspaces/usage.hpp"

namespace berth::web {
namespace asio = boost::asio;
using std::chrono::steady_clock;
namespace {

constexpr std::chrono::seconds kRecheck{5};             // the login is looked up at least this often; when something happens to it, at once
constexpr std::chrono::minutes kLongestWithoutLogin{10};  // who comes with something else than a browser login asks again
constexpr std::size_t kMostInPulse = 500;
constexpr std::uint32_t kLoginTopics = bit(Topic::keys) | bit(Topic::users) | bit(Topic::web_sessions);

// One listener's side of the stream: what it may hear of, and whether it still may.
class EventFilter {
 public:
  explicit EventFilter(const ApiCall& call) : call_(call) {
    role_ = call.caller.actor.role;
    (void)allowed(true);
    (void)own(~0U);
  }

  // Is the login behind this stream still good? Looks into the store when `look`, or when it is time to.
  bool allowed(bool look) {
    const auto now = steady_clock::now();
    if (!call_.caller.login) return now - opened_ < kLongestWithoutLogin;
    if (!look && now - looked_ < kRecheck) return call_.lane.services().clock.now() < good_until_;
    looked_ = now;
    auto& reader = *call_.lane.reader;
    const auto login = call_.lane.services().logins.check(reader, call_.caller.cookie);
    if (!login || login->user.role != role_) return false;  // another role sees other things: the page begins anew
    good_until_ = login->session.expires_at;
    const auto key = call_.lane.services().directory.find_key(reader, login->session.key_fingerprint);
    const Timestamp key_ends = key ? call_.lane.services().directory.judge(*key).ends_at : Timestamp{};
    if (key_ends != Timestamp{}) good_until_ = std::min(good_until_, key_ends);
    return call_.lane.services().clock.now() < good_until_;
  }

  // Of what was marked, what this user may know of: rows of the store are looked at, and only a change of one's own counts.
  std::uint32_t own(std::uint32_t topics) {
    if (call_.caller.reads_all()) return topics;
    const std::string& user = call_.caller.actor.name;
    if ((topics & bit(Topic::keys)) != 0 && !changed(keys_, [&] { return keys_text(user); })) topics &= ~bit(Topic::keys);
    if ((topics & bit(Topic::web_sessions)) != 0 && !changed(web_sessions_, [&] { return web_sessions_text(user); })) topics &= ~bit(Topic::web_sessions);
    if ((topics & bit(Topic::environments)) != 0 && !changed(environments_, [&] { return environments_text(user); })) topics &= ~bit(Topic::environments);
    return topics & ~(bit(Topic::users) | bit(Topic::audit));
  }

 private:
  template <class Text>
  static bool changed(std::size_t& before, Text text) {
    const std::size_t now = std::hash<std::string>{}(text());
    return std::exchange(before, now) != now;
  }
  std::string keys_text(const std::string& user) const {
    std::string text;
    const auth::Directory& directory = call_.lane.services().directory;
    for (const auth::Key& key : directory.list_keys(*call_.lane.reader, user)) text += dump_json(to_json(key, directory.judge(key)));
    return text;
  }
  // Which there are; that one of them was seen again is no news.
  std::string web_sessions_text(const std::string& user) const {
    std::string text;
    for (const auth::WebSession& session : call_.lane.services().logins.list(*call_.lane.reader, user)) text += session.id + "\n";
    return text;
  }
  std::string environments_text(const std::string& user) const {
    std::string text;
    if (call_.lane.services().environments == nullptr) return text;
    for (const auto& row : call_.lane.services().environments->rows().list(*call_.lane.reader, user))
      text += fmt::format("{} {} {} {}\n", row.name, row.revision, row.is_default, row.updated_at.time_since_epoch().count());
    return text;
  }

  const ApiCall& call_;
  auth::Role role_{};
  const steady_clock::time_point opened_ = steady_clock::now();
  steady_clock::time_point looked_{};
  Timestamp good_until_{};
  std::size_t keys_ = 0, web_sessions_ = 0, environments_ = 0;
};

// The traffic of live sessions that this caller may see, as far as it moved since the last time.
class TrafficPulse {
 public:
  explicit TrafficPulse(const ApiCall& call) : call_(call), wanted_(call.query_flag("traffic")) {}

  std::string text() {
    const auto now = steady_clock::now();
    if (!wanted_ || now - last_ < call_.lane.limits().event_pulse) return {};
    last_ = now;
    nlohmann::json moved = nlohmann::json::object();
    std::unordered_map<std::string, std::pair<std::uint64_t, std::uint64_t>> seen;
    for (const auth::SessionRecord& row : call_.lane.services().sessions.live()) {
      if (row.user != call_.caller.actor.name && !call_.caller.reads_all()) continue;
      if (seen.size() >= kMostInPulse) break;
      const std::pair counters{row.bytes_in, row.bytes_out};
      const auto before = seen_.find(row.id);
      if (before == seen_.end() || before->second != counters) moved[row.id] = {row.bytes_in, row.bytes_out};
      seen.emplace(row.id, counters);
    }
    seen_ = std::move(seen);
    return moved.empty() ? std::string() : event_text("traffic", moved);
  }

 private:
  const ApiCall& call_;
  const bool wanted_;
  steady_clock::time_point last_{};
  std::unordered_map<std::string, std::pair<std::uint64_t, std::uint64_t>> seen_;
};

// With ?usage=1: what workspaces and the box use, all that is kept at first, then what has come.
class UsagePulse {
 public:
  explicit UsagePulse(const ApiCall& call) : call_(call), history_(call.query_flag("usage") ? call.lane.services().usage : nullptr) {}

  std::string text() {
    if (!history_ || history_->tick() == told_) return {};
    const nlohmann::json news = history_->since(told_, call_.caller.actor.name, call_.caller.reads_all());
    told_ = news["tick"];
    return event_text("usage", news);
  }

 private:
  const ApiCall& call_;
  const workspaces::UsageHistory* history_;
  std::uint64_t told_ = 0;
};

std::string changed_text(std::uint32_t topics) {
  nlohmann::json names = nlohmann::json::array();
  for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(Topic::count); ++i)
    if ((topics & bit(static_cast<Topic>(i))) != 0) names.push_back(name_of(static_cast<Topic>(i)));
  return event_text("changed", {{"topics", names}});
}

asio::awaitable<Result<void>> stream_events(ApiCall& call, std::shared_ptr<EventListener> listener) {
  Connection& client = call.client;
  const WebLimits& limits = call.lane.limits();
  EventFilter filter(call);
  TrafficPulse pulse(call);
  UsagePulse usage(call);
  auto sent = co_await client.send_part(event_text("ready", nlohmann::json::object()));
  auto last = steady_clock::now();
  while (sent && !call.lane.retired() && !client.stream.peer_hung_up()) {
    co_await listener->wait(limits.event_look, limits.event_gather);
    std::uint32_t topics = listener->take();
    if (!filter.allowed((topics & kLoginTopics) != 0)) {
      sent = co_await client.send_part(event_text("ended", nlohmann::json::object()));
      break;
    }
    topics = filter.own(topics);
    std::string part = topics == 0 ? std::string() : changed_text(topics);
    part += pulse.text();
    part += usage.text();
    if (part.empty() && steady_clock::now() - last >= limits.event_heartbeat) part = ": still here\n\n";
    if (part.empty()) continue;
    last = steady_clock::now();
    sent = co_await client.send_part(part);
  }
  if (!sent) co_return sent.error();
  co_return co_await client.finish_parts();
}

// The lane wakes its listeners when it stops.
struct Listed {
  Listed(std::unordered_set<EventListener*>& list, EventListener& one) : listeners(list), listener(one) { listeners.insert(&listener); }
  Listed(const Listed&) = delete;
  ~Listed() { listeners.erase(&listener); }
  std::unordered_set<EventListener*>& listeners;
  EventListener& listener;
};

}  // namespace

asio::awaitable<ApiReply> get_events(ApiCall& call) {
  EventHub& hub = *call.lane.shared.events;
  const std::string login = call.caller.login ? call.caller.login->session.id : call.caller.actor.name;
  if (hub.count_of_login(login) >= call.lane.limits().event_streams_per_login)
    co_return Error{ErrorKind::unavailable, "this login has too many event streams open; close some pages"};
  const bool only_head = call.client.head.method == "HEAD";
  // Before the first look at the data: what changes meanwhile is told.
  const auto listener = EventListener::open(hub, call.lane.executor(), call.caller.actor.name, call.caller.reads_all(), login);
  auto sent = co_await call.client.start_parts(event_stream_head());
  if (sent && !only_head) {
    const Listed listed(call.lane.listeners, *listener);
    sent = co_await stream_events(call, listener);
  }
  call.client.close_after_this();
  if (!sent) call.client.stream.close();
  co_return std::nullopt;
}

}  // namespace berth::web
