#include "server/options.hpp"

#include "auth/host_keys.hpp"
#include "base/log.hpp"

namespace berth::server {
namespace {

// No ECDSA host key: its NIST curves are what auditors of SSH servers mark red, and every client that knows ECDSA knows one of these.
constexpr const char* kHostKeyTypes[] = {"ed25519", "rsa"};

}  // namespace

Result<std::vector<std::string>> host_keys(Store& store, const Clock& clock) {
  std::vector<std::string> keys;
  const std::vector<auth::HostKey> stored = auth::load_host_keys(*store.open_reader());
  for (const char* type : kHostKeyTypes) {
    bool found = false;
    for (const auth::HostKey& key : stored) {
      if (key.type != type) continue;
      keys.push_back(key.private_key);
      found = true;
    }
    if (found) continue;
    Result<std::string> made = ssh::generate_host_key(type);
    if (!made) return made.error();
    if (Result<void> saved = auth::save_host_key(store, {type, *made}, clock.now()); !saved) return saved.error();
    log_info("hostkey.made", {{"type", type}});
    keys.push_back(std::move(*made));
  }
  return keys;
}

std::shared_ptr<const ssh::ServerOptions> ssh_options(const Settings& settings, std::vector<std::string> keys, const std::string& version) {
  auto options = std::make_shared<ssh::ServerOptions>();
  options->host_keys = std::move(keys);
  options->software_version = "Berth_" + version;
  options->login_grace = settings.ssh.login_grace;
  options->keepalive_interval = settings.ssh.keepalive_interval;
  options->keepalive_limit = static_cast<int>(settings.ssh.keepalive_limit);
  options->max_auth_tries = static_cast<int>(settings.ssh.max_auth_tries);
  options->max_channels = static_cast<int>(settings.ssh.max_channels);
  return options;
}

web::WebOptions web_options(const Settings& settings, const std::string& version) {
  web::WebOptions options;
  options.version = version;
  options.host_name = settings.ssh.public_host;
  options.portal_url = settings.web.public_url_given ? settings.web.public_url : "";
  options.workspace_url = settings.web.public_url_given ? settings.web.workspace_public_url : "";
  options.link_url = settings.web.public_url;
  options.ssh_port = static_cast<std::uint16_t>(settings.ssh.public_port);
  options.ssh_address = format_listen_address(settings.ssh.listen.front());
  options.web_address = format_listen_address(settings.web.listen.front());
  options.state_dir = settings.server.state_dir;
  options.ui_dir = settings.web.ui_dir;
  options.certificate_file = settings.web.certificate;
  options.private_key_file = settings.web.private_key;
  options.session_lifetime = settings.web.session_lifetime;
  options.settings = settings.in_force;
  options.keep_terminals = settings.ssh.keep_terminals;
  return options;
}

}  // namespace berth::server
