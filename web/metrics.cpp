#include "web/metrics.hpp"

#include "web/lane_server.hpp"

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

}  // namespace

std::string metrics_text(const SharedState& shared) {
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
  append_head(out, "berth_sessions_live", "gauge", "Live sessions of all kinds.");
  out += "berth_sessions_live " + std::to_string(shared.services.sessions.live().size()) + "\n";
  if (shared.services.more_metrics) out += shared.services.more_metrics();
  return out;
}

}  // namespace berth::web
