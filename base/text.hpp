// Text that strangers sent, made fit for a terminal, a log line, JSON and the audit trail.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace berth {

// `text` with control characters and bytes that are not UTF-8 written as \xNN; cut to at most `max_bytes`, then ending in "…".
std::string printable(std::string_view text, std::size_t max_bytes);

}  // namespace berth
