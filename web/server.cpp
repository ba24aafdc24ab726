#include "web/server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <mutex>

#include "auth/audit.hpp"
#include "auth/host_keys.hpp"
#include "auth/sessions.hpp"
#include "base/log.hpp"
#include "web/lane_server.hpp"
#include "web/tls.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kCertificateCheck{2};
constexpr std::chrono::seconds kGiveUp{10};  // after the drain, for what waits for a store or an agent

Result<void> check_options(const WebOptions& options) {
  if (options.portal_url.empty() != options.workspace_url.empty())
    return Error{ErrorKind::invalid, "web.public_url and web.workspace_public_url: set both or none"};
  const auto host_of = [](const std::string& url) { return std::string(host_without_port(std::string_view(url).substr(url.find("://") + 3))); };
  if (options.portal_url.empty() && !options.wildcard_domain.empty()) return Error{ErrorKind::invalid, "web.wildcard_domain needs web.public_url"};
  if (options.portal_url.empty()) return {};
  if (options.portal_url.find("://") == std::string::npos || options.workspace_url.find("://") == std::string::npos)
    return Error{ErrorKind::invalid, "web.public_url and web.workspace_public_url begin with https://"};
  // The step from one origin to the other is bound to the browser by the portal's cookie, which only the same host sees.
  if (host_of(options.portal_url) != host_of(options.workspace_url))
    return Error{ErrorKind::invalid, "web.public_url and web.workspace_public_url must name the same host and differ in the port"};
  return {};
}

// The watchers share the hub: they may be called while, and after, the server goes away.
void watch_changes(const SharedState& shared) {
  const auto hub = shared.events;
  shared.services.store.watch([hub](const std::vector<std::string>& tables) { hub->publish_tables(tables); });
  shared.services.sessions.watch([hub](const std::string& user) { hub->publish(Topic::sessions, user); });
  shared.services.manager.watch([hub](const std::string& user) { hub->publish(Topic::workspaces, user); });
}

}  // namespace

struct WebServer::Impl {
  Impl(WebOptions options, WebServices services, StaticFiles files, std::string csrf_secret, TlsIdentity first, TlsFiles tls_files)
      : shared{options,
               services,
               std::move(files),
               Origins(options.portal_url, options.workspace_url, 0, options.workspace_port, options.wildcard_domain),
               std::move(csrf_secret)},
        identity(std::move(first)), watch(std::move(tls_files)) {}

  LaneServer& server_of(Lane& lane);
  void reload_certificate();
  asio::awaitable<void> watch_certificate(asio::steady_timer& timer);

  SharedState shared;
  mutable std::mutex mutex;  // of identity: the certificate's watcher runs on one lane, the fingerprint may be asked for anywhere
  TlsIdentity identity;
  FileWatch watch;
  std::unique_ptr<asio::steady_timer> watch_timer;
  bool watching = false;
  std::atomic<bool> stopping{false};
  std::atomic<bool> stopped{false};
};

LaneServer& WebServer::Impl::server_of(Lane& lane) {
  for (const auto& server : shared.lanes)
    if (&server->lane == &lane) return *server;
  shared.lanes.push_back(std::make_unique<LaneServer>(lane, shared, identity.context.get()));
  if (!watch_timer) {
    watch_timer = std::make_unique<asio::steady_timer>(lane.io);
    watching = true;
    asio::co_spawn(lane.io, watch_certificate(*watch_timer), asio::detached);
  }
  return *shared.lanes.back();
}

void WebServer::Impl::reload_certificate() {
  auto loaded = load_tls_identity(watch.files().certificate, watch.files().private_key);
  if (!loaded) {
    log_error("web.certificate", {{"kept", "the old one"}, {"error", loaded.error().message}});
    return;
  }
  log_info("web.certificate", {{"fingerprint", loaded->fingerprint}});
  shared.services.audit.note({"berthd", auth::Role::admin, "-", {}}, "tls.reload", loaded->fingerprint, "ok");
  const std::lock_guard lock(mutex);
  identity = std::move(*loaded);
  for (const auto& server : shared.lanes) {
    SSL_CTX_up_ref(identity.context.get());
    asio::post(server->executor(), [lane = server.get(), context = std::make_shared<SslContextHandle>(identity.context.get())] { lane->use_tls(context->get()); });
  }
}

asio::awaitable<void> WebServer::Impl::watch_certificate(asio::steady_timer& timer) {
  while (!stopping) {
    timer.expires_after(kCertificateCheck);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!stopping && watch.changed()) reload_certificate();
  }
  watching = false;
}

WebServer::WebServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

WebServer::~WebServer() {
  // Frames of connections that would not end refer to their lane's server: then it must stay until the process ends.
  if (!impl_->stopped && !impl_->shared.lanes.empty()) (void)impl_.release();
}

Result<std::unique_ptr<WebServer>> WebServer::create(WebOptions options, WebServices services) {
  if (auto good = check_options(options); !good) return good.error();
  TlsFiles tls_files{options.certificate_file, options.private_key_file};
  if (tls_files.certificate.empty() != tls_files.private_key.empty()) return Error{ErrorKind::invalid, "web.certificate and web.private_key: set both or none"};
  if (tls_files.certificate.empty()) {
    auto made = ensure_self_signed(options.state_dir / "tls", options.host_name, std::string(host_without_port(options.wildcard_domain)));
    if (!made) return made.error();
    tls_files = *made;
  }
  auto identity = load_tls_identity(tls_files.certificate, tls_files.private_key);
  if (!identity) return identity.error();
  auto files = StaticFiles::load(options.ui_dir);
  if (!files) return files.error();
  if (!files->has_pages()) log_warn("web.pages", {{"missing", (options.ui_dir / "index.html").string()}});
  auto secret = auth::load_or_make_secret(services.store, "csrf");
  if (!secret) return secret.error();
  auto impl = std::make_unique<Impl>(std::move(options), std::move(services), std::move(*files), std::move(*secret), std::move(*identity), std::move(tls_files));
  watch_changes(impl->shared);
  return std::unique_ptr<WebServer>(new WebServer(std::move(impl)));
}

void WebServer::listen(Lane& lane, asio::ip::tcp::acceptor acceptor, Face face, Transport transport) {
  impl_->shared.origins.bound(face, acceptor.local_endpoint().port());
  const Listening what = face == Face::portal ? Listening::portal : Listening::workspaces;
  impl_->server_of(lane).listen(FileDescriptor(acceptor.release()), what, transport == Transport::tls);
}

void WebServer::listen_admin(Lane& lane, asio::local::stream_protocol::acceptor acceptor) {
  impl_->server_of(lane).listen(FileDescriptor(acceptor.release()), Listening::admin, false);
}

void WebServer::serve_ssh(Lane& lane, FileDescriptor socket, SshLogin login) {
  for (const auto& server : impl_->shared.lanes)
    if (&server->lane == &lane) return server->serve_ssh(std::move(socket), std::move(login));
}

void WebServer::retire() {
  for (const auto& server : impl_->shared.lanes) asio::post(server->executor(), [lane = server.get()] { lane->retire(); });
}

std::int64_t WebServer::connections() const {
  std::int64_t all = 0;
  for (const auto& server : impl_->shared.lanes) all += server->counters.connections.get();
  return all;
}

asio::awaitable<void> WebServer::shutdown(std::chrono::milliseconds drain) {
  impl_->stopping = true;
  bool clean = true;
  for (const auto& server : impl_->shared.lanes) asio::post(server->executor(), [lane = server.get()] { lane->begin_stop(); });
  if (impl_->watch_timer) asio::post(impl_->watch_timer->get_executor(), [timer = impl_->watch_timer.get()] { timer->cancel(); });
  const auto until = std::chrono::steady_clock::now() + drain;
  for (const auto& server : impl_->shared.lanes) {
    auto drained = server->drain(until, until + kGiveUp);
    clean &= co_await asio::co_spawn(server->executor(), std::move(drained), asio::use_awaitable);
  }
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (impl_->watching) {
    timer.expires_after(std::chrono::milliseconds(5));
    co_await timer.async_wait(asio::use_awaitable);
  }
  impl_->shared.background.join();
  impl_->stopped = clean;
}

std::string WebServer::certificate_fingerprint() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->identity.fingerprint;
}

Result<asio::ip::tcp::acceptor> listen_tcp(Lane& lane, const std::string& address, std::uint16_t port) {
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(address, error);
  if (error) return Error{ErrorKind::invalid, "'" + address + "' is not an IP address to listen on"};
  asio::ip::tcp::acceptor acceptor(lane.io);
  const asio::ip::tcp::endpoint endpoint(ip, port);
  acceptor.open(endpoint.protocol(), error);
  const int on = 1;
  if (!error) ::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  // Each address that is listed is just itself: "0.0.0.0:2222" may stand beside "[::]:2222".
  if (!error && ip.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(4096, error);
  if (error) return Error{ErrorKind::unavailable, "cannot listen on " + address + " port " + std::to_string(port) + ": " + error.message()};
  return acceptor;
}

Result<asio::local::stream_protocol::acceptor> listen_unix(Lane& lane, const fs::path& path) {
  const Error bad_path{ErrorKind::invalid, "the socket path " + path.string() + " is too long"};
  if (path.string().size() >= sizeof(sockaddr_un::sun_path)) return bad_path;
  boost::system::error_code error;
  const asio::local::stream_protocol::endpoint endpoint(path.string());
  asio::local::stream_protocol::socket probe(lane.io);
  probe.connect(endpoint, error);
  if (!error) return Error{ErrorKind::conflict, "another process listens on " + path.string()};
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return Error{ErrorKind::conflict, path.string() + " exists and is not a socket"};
    ::unlink(path.c_str());
  }
  error.clear();
  asio::local::stream_protocol::acceptor acceptor(lane.io);
  acceptor.open(endpoint.protocol(), error);
  const mode_t before = ::umask(0117);  // 0660 from the first moment on
  if (!error) acceptor.bind(endpoint, error);
  ::umask(before);
  if (!error) acceptor.listen(128, error);
  if (error) return Error{ErrorKind::unavailable, "cannot listen on " + path.string() + ": " + error.message()};
  return acceptor;
}

}  // namespace berth::web
