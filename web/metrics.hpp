// /metrics: Prometheus text, one line for each lane and counter.
#pragma once
#include <string>

namespace berth::web {

struct SharedState;
std::string metrics_text(const SharedState& shared);

}  // namespace berth::web
