#include "server/options.hpp"

namespace berth::server {
namespace {

Result<std::string> public_blob(std::string_view private_key) {
  Result<ssh::PublicKey> half = ssh::public_half(private_key);
  if (!half) return half.error();
  return std::move(half->blob);
}

}  // namespace

auth::HostKeys::Tools host_key_tools() { return {ssh::generate_host_key, public_blob}; }

std::shared_ptr<const ssh::ServerOptions> ssh_options(const Settings& settings, const std::vector<auth::HostKey>& keys, const std::string& version) {
  auto options = std::make_shared<ssh::ServerOptions>();
  for (const auth::HostKey& key : keys) (key.active ? options->host_keys : options->announced_keys).push_back(key.private_key);
  // OpenSSH's client uses eow@openssh.com and no-more-sessions@openssh.com only with servers whose name begins so; without the first,
  // `ssh box yes | head` would never end.
  options->software_version = "OpenSSH_compatible_Berth_" + version;
  options->login_grace = settings.ssh.login_grace;
  options->keepalive_interval = settings.ssh.keepalive_interval;
  options->keepalive_limit = static_cast<int>(settings.ssh.keepalive_limit);
  options->rekey_after = settings.ssh.rekey_after;
  options->rekey_bytes = static_cast<std::uint64_t>(settings.ssh.rekey_bytes);
  options->compression = settings.ssh.compression;
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
  options.wildcard_domain = settings.web.wildcard_domain;
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
  options.watch_terminals = settings.web.watch_terminals;
  return options;
}

}  // namespace berth::server
