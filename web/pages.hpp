// The few pages that the server itself writes: messages and the progress of a start. Plain HTML without scripts.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "web/response.hpp"

namespace berth::web {

// `detail` may have several lines (a log); it is escaped.
Response message_page(int status, std::string_view title, std::string_view detail);
// Reloads itself every second until the application answers in its place.
Response progress_page(std::string_view title, const std::vector<std::string>& lines);

// Security headers for everything of ours. `app`: the portal's pages, which may load their own scripts and styles.
void add_security_headers(Response& response, bool app);

}  // namespace berth::web
