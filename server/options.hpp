// What berthd's settings and its store mean for the SSH and the web side.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "auth/host_keys.hpp"
#include "config/settings.hpp"
#include "server/ssh/session.hpp"
#include "web/server.hpp"

namespace berth::server {

// The SSH library's part of auth::HostKeys.
auth::HostKeys::Tools host_key_tools();
std::shared_ptr<const ssh::ServerOptions> ssh_options(const Settings& settings, const std::vector<auth::HostKey>& keys, const std::string& version);
web::WebOptions web_options(const Settings& settings, const std::string& version);

}  // namespace berth::server
