#include "web/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "auth/sessions.hpp"
#include "web/lane_server.hpp"
#include "workspaces/env_builds.hpp"

namespace berth::web {
namespace {

struct MetricRow {
  std::string_view name, type, help;
  Counter Counters::*counter;
};
constexpr MetricRow kMetrics[] = {
    {"berth_web_connections", "gauge", "Open client connections.", &Counters::connections},
    {"berth_web_accepted_total", "counter", "Client connections accepted.", &Counters::accepted},
    {"berth_web_handshake_failures_total", "counter", "TLS handshakes that failed.", &Counters::handshake_failures},
    {"berth_web_requests_total", "counter", "Requests with a well-formed head.", &Counters::requests},
    {"berth_web_refused_total", "counter", "Malformed, oversized and late request heads.", &Counters::refused},
    {"berth_web_proxied_total", "counter", "Requests into workspaces.", &Counters::proxied},
    {"berth_web_websockets", "gauge", "Open WebSockets into workspaces.", &Counters::websockets},
    {"berth_web_upstream_connects_total", "counter", "Connections made into workspaces.", &Counters::upstream_connects},
    {"berth_web_upstream_errors_total", "counter", "Requests that a workspace did not answer.", &Counters::upstream_errors},
    {"berth_web_logins_total", "counter", "Browser logins.", &Counters::logins},
    {"berth_web_logins_refused_total", "counter", "Browser logins refused.", &Counters::logins_refused},
    {"berth_web_bytes_in_total", "counter", "Bytes of request bodies into workspaces.", &Counters::bytes_in},
    {"berth_web_bytes_out_total", "counter", "Bytes of answers from workspaces.", &Counters::bytes_out},
};

void append_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += "# HELP " + std::string(name) + " " + std::string(help) + "\n# TYPE " + std::string(name) + " " + std::string(type) + "\n";
}

struct HistogramRow {
  std::string_view name, help;
  Histogram Counters::*histogram;
};
constexpr HistogramRow kHistograms[] = {
    {"berth_web_first_byte_seconds", "From a request into a workspace to the head of its answer.", &Counters::first_byte},
    {"berth_lane_lag_seconds", "How late a lane runs what is due, looked at once a second.", &Counters::loop_lag},
};

void append_histograms(std::string& out, const SharedState& shared) {
  for (const HistogramRow& row : kHistograms) {
    append_head(out, row.name, "histogram", row.help);
    for (const auto& lane : shared.lanes) (lane->counters.*row.histogram).append_to(out, row.name, fmt::format("lane=\"{}\"", lane->lane.index));
  }
  append_head(out, "berth_store_write_seconds", "histogram", "From asking for a change of the store to having it on disk.");
  shared.services.store.write_latency().append_to(out, "berth_store_write_seconds", "");
}

using Totals = std::map<std::string, auth::Sessions::Totals>;

void append_sessions(std::string& out, const Totals& totals) {
  append_head(out, "berth_sessions_live", "gauge", "Live sessions by kind; a connection holds others.");
  for (const auto& [kind, of] : totals) out += fmt::format("berth_sessions_live{{kind=\"{}\"}} {}\n", kind, of.live);
  append_head(out, "berth_sessions_opened_total", "counter", "Sessions opened, by kind.");
  for (const auto& [kind, of] : totals) out += fmt::format("berth_sessions_opened_total{{kind=\"{}\"}} {}\n", kind, of.opened);
  append_head(out, "berth_sessions_bytes_total", "counter", "Payload from (in) and to (out) clients, by kind; a connection's is the sum of its channels'.");
  for (const auto& [kind, of] : totals)
    out += fmt::format("berth_sessions_bytes_total{{kind=\"{0}\",direction=\"in\"}} {1}\nberth_sessions_bytes_total{{kind=\"{0}\",direction=\"out\"}} {2}\n", kind, of.bytes_in, of.bytes_out);
}

void append_workspaces(std::string& out, const std::vector<workspaces::WorkspaceStatus>& all) {
  using workspaces::WorkspaceState;
  append_head(out, "berth_workspaces", "gauge", "Workspaces by state.");
  for (const auto state : {WorkspaceState::stopped, WorkspaceState::starting, WorkspaceState::running, WorkspaceState::stopping, WorkspaceState::failed}) {
    const auto count = std::count_if(all.begin(), all.end(), [state](const auto& status) { return status.state == state; });
    out += fmt::format("berth_workspaces{{state=\"{}\"}} {}\n", workspaces::name_of(state), count);
  }
}

void append_environments(std::string& out, const std::map<std::string, std::int64_t>& counts) {
  append_head(out, "berth_environments", "gauge", "Conda environments by what came out when their current revision was last built again (never: not yet).");
  for (const char* result : {"", "ok", "changed", "failed"}) {
    const auto found = counts.find(result);
    out += fmt::format("berth_environments{{verified=\"{}\"}} {}\n", *result == '\0' ? "never" : result, found == counts.end() ? 0 : found->second);
  }
}

}  // namespace

boost::asio::awaitable<std::string> metrics_text(LaneServer& asked) {
  const SharedState& shared = asked.shared;
  const auto workspaces = co_await shared.services.manager.list(asked.lane, {});
  std::string out;
  for (const MetricRow& row : kMetrics) {
    append_head(out, row.name, row.type, row.help);
    for (const auto& lane : shared.lanes)
      out += std::string(row.name) + "{lane=\"" + std::to_string(lane->lane.index) + "\"} " + std::to_string((lane->counters.*row.counter).get()) + "\n";
  }
  append_head(out, "berth_web_responses_total", "counter", "Answers by class of status.");
  for (const auto& lane : shared.lanes)
    for (int status_class = 1; status_class <= 5; ++status_class)
      out += "berth_web_responses_total{lane=\"" + std::to_string(lane->lane.index) + "\",class=\"" + std::to_string(status_class) + "xx\"} " +
             std::to_string(lane->counters.responses[status_class].get()) + "\n";
  append_histograms(out, shared);
  append_sessions(out, shared.services.sessions.totals());
  if (workspaces) append_workspaces(out, *workspaces);
  if (shared.services.environments != nullptr) append_environments(out, shared.services.environments->rows().count_by_verification(*asked.reader));
  append_head(out, "berth_event_streams", "gauge", "Pages that listen for changes.");
  out += fmt::format("berth_event_streams {}\n", shared.events->count());
  if (shared.services.more_metrics) out += shared.services.more_metrics();
  co_return out;
}

}  // namespace berth::web
