// What berthd's settings and its store mean for the SSH and the web side.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/store.hpp"
#include "config/settings.hpp"
#include "server/ssh/session.hpp"
#include "web/server.hpp"

namespace berth::server {

// The private host keys, those that are missing made anew (first start).
Result<std::vector<std::string>> host_keys(Store& store, const Clock& clock);
std::shared_ptr<const ssh::ServerOptions> ssh_options(const Settings& settings, std::vector<std::string> keys, const std::string& version);
web::WebOptions web_options(const Settings& settings, const std::string& version);

}  // namespace berth::server
