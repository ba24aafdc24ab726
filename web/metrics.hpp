// /metrics: Prometheus text, one line for each lane and counter.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <string>

namespace berth::web {

class LaneServer;
// Asked on `lane`; workspaces that cannot be listed are left out.
boost::asio::awaitable<std::string> metrics_text(LaneServer& lane);

}  // namespace berth::web
