#include "keeper/build_container.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <array>

#include "base/deadline.hpp"
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "keeper/processes.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::beast::http::verb;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr std::size_t kLineLimit = 6 << 20, kFrameLimit = 64 << 20;  // a lock of some thousand packages is the longest line
constexpr seconds kDiskLook{5};
constexpr int kDepthLimit = 12;

Error engine_failed(std::string_view doing, const Answer& answer) {
  log_error("keeper.build_refused", {{"doing", doing}, {"status", answer.status}, {"why", answer.why()}});
  return {ErrorKind::unavailable, "the container engine failed at " + std::string(doing) + ": " + answer.why().substr(0, 300)};
}

Error error_in(const nlohmann::json& event) {
  const nlohmann::json error = {{"kind", workspaces::text_of(event, "kind")}, {"message", workspaces::text_of(event, "message").substr(0, 16 * 1024)}};
  return workspaces::parse_error(error);
}

}  // namespace

asio::awaitable<Result<void>> BuildContainers::make(const BuildPlan& plan) {
  const std::string name = build_container_name(settings_, plan.user);
  if (plan.network && settings_.podman.network == "bridge") {
    const auto firewall = engine_.apply_firewall();
    if (firewall.has_error()) co_return firewall.error();
    auto network_body = build_network_spec(settings_, plan.user);
    const auto network = co_await api_.call(verb::post, "/networks/create", std::move(network_body));
    if (network.has_error()) co_return network.error();
    const bool exists = network->status == 409 || network->why().find("already") != std::string::npos;
    if (!network->ok() && !exists) co_return engine_failed("making the build's network", *network);
  }
  auto body = build_container_spec(settings_, plan);
  const auto created = co_await api_.call(verb::post, "/containers/create", std::move(body), minutes(15));
  if (created.has_error()) co_return created.error();
  if (!created->ok()) co_return engine_failed("making the build's container", *created);
  co_return Result<void>();
}

asio::awaitable<Result<nlohmann::json>> BuildContainers::run_made(BuildPlan plan, OnBuildEvent on_event) {
  const std::string path = "/containers/" + build_container_name(settings_, plan.user);
  // Made ready but not begun: its user ids are looked at before anything of the user's runs.
  const auto ready = co_await api_.call(verb::post, path + "/init", nullptr, minutes(2));
  if (ready.has_error()) co_return ready.error();
  if (!ready->ok()) co_return engine_failed("preparing the build", *ready);
  const auto inspected = co_await api_.call(verb::get, path + "/json");
  if (inspected.has_error()) co_return inspected.error();
  const auto pid = inspected->body.is_object() ? inspected->body.value(nlohmann::json::json_pointer("/State/Pid"), 0) : 0;
  if (pid <= 0) co_return Error{ErrorKind::unavailable, "the build's container cannot be looked at"};
  const auto mapping = check_mapping(pid, plan.base);
  if (mapping.has_error()) co_return mapping.error();
  auto output = co_await api_.attach(build_container_name(settings_, plan.user), seconds(30));
  if (output.has_error()) co_return output.error();
  const auto started = co_await api_.call(verb::post, path + "/start", nullptr, minutes(2));
  if (started.has_error()) co_return started.error();
  if (!started->ok() && started->status != 304) co_return engine_failed("starting the build", *started);
  co_return co_await follow(std::move(*output), std::move(on_event));
}

asio::awaitable<Result<nlohmann::json>> BuildContainers::follow(stream_protocol::socket output, OnBuildEvent on_event) {
  const Error ended{ErrorKind::unavailable, "the build was ended: out of memory, time or disk, or by your administrator"};
  Result<nlohmann::json> result = ended;
  std::string line, errors, frame;
  for (;;) {
    std::array<unsigned char, 8> head{};
    boost::system::error_code error;
    co_await asio::async_read(output, asio::buffer(head), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    std::size_t left = (std::size_t{head[4]} << 24) | (std::size_t{head[5]} << 16) | (std::size_t{head[6]} << 8) | head[7];
    if (left > kFrameLimit) co_return Error{ErrorKind::protocol, "the build's container says what cannot be understood"};
    frame.resize(left);
    co_await asio::async_read(output, asio::buffer(frame), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    if (head[0] == 2) {
      errors = (errors + frame).substr(0, 8192);
      continue;
    }
    for (const char c : frame) {
      if (c != '\n') {
        line += c;
        if (line.size() > kLineLimit) co_return Error{ErrorKind::too_large, "the build says more in one line than is allowed"};
        continue;
      }
      // Not deeper than any of ours: what is printed again later is printed by recursion.
      const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) { return depth <= kDepthLimit; };
      auto event = nlohmann::json::parse(line, shallow, false);
      line.clear();
      if (!event.is_object()) continue;
      const auto kind = event.find("event");
      if (kind == event.end() || !kind->is_string()) continue;
      if (*kind == "result") {
        result = Result<nlohmann::json>(boost::system::in_place_value, std::move(event));
      } else if (*kind == "error") {
        result = error_in(event);
      } else {
        on_event(std::move(event));
      }
    }
  }
  if (result.has_error() && !errors.empty()) log_warn("keeper.build_stderr", {{"text", errors.substr(0, 4000)}});
  co_return result;
}

asio::awaitable<Result<nlohmann::json>> BuildContainers::run(BuildPlan plan, OnBuildEvent on_event, std::function<asio::awaitable<bool>()> too_large) {
  const auto executor = co_await asio::this_coro::executor;
  const bool clean = co_await remove(plan.user);  // one that an interrupted build left
  if (!clean) co_return Error{ErrorKind::unavailable, "an earlier build of yours cannot be ended; tell your administrator"};
  const auto made = co_await make(plan);
  if (made.has_error()) co_return made.error();
  // Beside the build, somebody looks at what it uses; ending the container ends the stream that the build is followed by.
  struct Watch {
    explicit Watch(const asio::any_io_executor& on) : timer(on) {}
    asio::steady_timer timer;
    bool done = false, large = false;
  };
  const auto watch = std::make_shared<Watch>(executor);
  const auto look = [](BuildContainers& self, std::shared_ptr<Watch> shared, std::function<asio::awaitable<bool>()> ask, std::string user) -> asio::awaitable<void> {
    while (!shared->done) {
      boost::system::error_code cancelled;
      shared->timer.expires_after(kDiskLook);
      co_await shared->timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      if (shared->done) co_return;
      shared->large = co_await ask();
      if (shared->large && !shared->done) (void)co_await self.remove(user);
    }
  };
  asio::co_spawn(executor, look(*this, watch, std::move(too_large), plan.user), asio::detached);
  const std::string user = plan.user;
  const auto began = std::chrono::steady_clock::now();
  auto operation = run_made(std::move(plan), std::move(on_event));
  auto result = co_await with_deadline(std::move(operation), settings_.environments.time, "the build");
  watch->done = true;
  watch->timer.cancel();
  // Nobody may look at what was built while somebody may still write it.
  const bool ended = co_await remove(user);
  if (!ended) co_return Error{ErrorKind::unavailable, "the build's container cannot be removed; tell your administrator"};
  const bool late = std::chrono::steady_clock::now() - began >= settings_.environments.time;
  if (result.has_error() && late) result = Error{ErrorKind::timeout, "the build takes longer than is allowed here (environments.minutes)"};
  if (result.has_error() && watch->large) result = Error{ErrorKind::too_large, "the build needs more disk than is allowed here (environments.disk)"};
  co_return result;
}

asio::awaitable<bool> BuildContainers::remove(std::string user) {
  const std::string name = build_container_name(settings_, user);
  bool gone = false;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int attempt = 0; attempt < 7 && !gone; ++attempt) {
    const auto answer = co_await api_.call(verb::delete_, "/containers/" + name + "?force=true&v=true&timeout=0", nullptr, minutes(2));
    gone = answer.has_value() && (answer->ok() || answer->status == 404);
    if (gone) break;
    timer.expires_after(std::chrono::milliseconds(100 << attempt));
    co_await timer.async_wait(asio::use_awaitable);
  }
  (void)co_await api_.call(verb::delete_, "/networks/" + name);
  co_return gone;
}

asio::awaitable<void> BuildContainers::remove_all() {
  const nlohmann::json filter = {{"label", {"berth.build=" + settings_.instance}}};
  std::string target = "/containers/json?all=true&filters=" + percent_encode(filter.dump());
  const auto answer = co_await api_.call(verb::get, std::move(target));
  if (answer.has_error() || !answer->body.is_array()) co_return;
  for (const auto& entry : answer->body) {
    const auto labels = entry.is_object() ? entry.find("Labels") : entry.end();
    if (labels == entry.end() || !labels->is_object()) continue;
    const auto user = labels->find("berth.user");
    if (user != labels->end() && user->is_string()) (void)co_await remove(user->get<std::string>());
  }
}

}  // namespace berth::keeper
