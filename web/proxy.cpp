#include "web/proxy.hpp"

#include "base/log.hpp"
#include "web/exchange.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

ProxyRequest request_of(const Connection& client, const ProxyPlan& plan) {
  ProxyRequest request;
  request.target = plan.upstream_target;
  request.host = plan.upstream_host;
  request.public_host = client.head.host;
  request.public_origin = plan.public_origin;
  request.prefix = plan.prefix;
  request.client_address = client.peer.address;
  request.secure = plan.public_origin.starts_with("https://");
  request.token = plan.token;
  request.upgrade = plan.websocket;
  request.own_origin = plan.own_origin;
  return request;
}

asio::awaitable<void> answer_failure(LaneServer& lane, Connection& client, const ProxyPlan& plan, const Error& error, bool not_yet) {
  ++lane.counters.upstream_errors;
  log_debug("web.upstream", {{"user", plan.target.id.user}, {"workspace", plan.target.id.name}, {"port", plan.target.port}, {"error", error.message}});
  const int status = error.kind == ErrorKind::closed ? 502 : status_of(error.kind);
  Response response = error_for(client.head, status, "Your workspace did not answer", error);
  // Nothing listens yet: most likely the application is starting. The page looks again until it is the application.
  if (not_yet && client.head.method == "GET" && wants_page(client.head)) response.headers.emplace_back("Refresh", "2");
  (void)co_await client.send(std::move(response));
}

}  // namespace

bool wants_page(const RequestHead& head) { return head.find(Name::accept).find("text/html") != std::string_view::npos; }

Response error_for(const RequestHead& head, int status, std::string_view title, const Error& error) {
  return wants_page(head) ? message_page(status, title, error.message) : error_response(status, name_of(error.kind), error.message);
}

asio::awaitable<void> proxy_request(LaneServer& lane, Connection& client, const ProxyPlan& plan, auth::LiveSession& live) {
  ++lane.counters.proxied;
  const std::string_view method = client.head.method;
  const bool may_repeat = client.body_done() && (method == "GET" || method == "HEAD" || method == "OPTIONS");
  for (bool fresh = !may_repeat;; fresh = true) {
    std::unique_ptr<Stream> stream = fresh ? nullptr : lane.upstreams.take_kept(plan.target);
    const bool reused = stream != nullptr;
    if (!reused) {
      auto connected = co_await lane.upstreams.connect(plan.target);
      if (!connected) {
        if (plan.target.jupyter()) lane.upstreams.forget(plan.target.id);
        co_await answer_failure(lane, client, plan, connected.error(), !plan.target.jupyter());
        co_return;
      }
      stream = std::move(*connected);
    }
    Exchange exchange(lane, client, *stream, plan, live);
    auto running = exchange.run(rewrite_request(client.head, request_of(client, plan)));
    auto done = co_await std::move(running);
    if (done) {
      if (exchange.reusable()) lane.upstreams.give_back(plan.target, std::move(stream));
      co_return;
    }
    if (exchange.answered()) {
      client.close_after_this();
      client.stream.close();  // no clean end: the browser must see that the answer was cut
      co_return;
    }
    // A kept connection that the workspace closed just now: it has seen nothing of this request, or may see it twice (safe methods only).
    if (reused && exchange.heard_nothing() && done.error().kind == ErrorKind::closed && !fresh) continue;
    co_await answer_failure(lane, client, plan, done.error(), false);
    co_return;
  }
}

}  // namespace berth::web
