#include "tests/unit/web/harness.hpp"

#include <sys/socket.h>

#include <fstream>
#include <future>

#include "web/ssh_login.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

void write_text(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

WebLimits WebTest::test_limits() {
  WebLimits limits;
  limits.tick = std::chrono::milliseconds(10);
  return limits;
}

WebTest::WebTest(WebLimits limits, const std::string& wildcard_domain)
    : store(Store::open(dir.path() / "berth.db", auth::migrations()).value()),
      directory(std::make_unique<auth::Directory>(*store, clock, default_settings().keys)),
      campaigns(std::make_unique<auth::Campaigns>(*store, clock, *directory)),
      logins(std::make_unique<auth::WebLogins>(*store, clock, std::chrono::hours(12), default_settings().keys)),
      tokens(std::make_unique<auth::Tokens>(*store, clock, default_settings().keys)),
      shares(std::make_unique<auth::Shares>(*store, clock, default_settings().keys)),
      sessions(std::make_unique<auth::Sessions>(*store, clock)), audit(std::make_unique<auth::Audit>(*store, clock)), manager(make_fake_manager(fake)) {
  write_text(dir.path() / "ui/index.html", "<title>Berth</title>");
  write_text(dir.path() / "ui/assets/app-1a2b.js", "let berth = 1;");
  write_text(dir.path() / "ui/assets/app-1a2b.js.gz", "gzipped");
  write_text(dir.path() / "secret.txt", "secret");
  WebOptions options;
  options.version = "0.1.0";
  options.host_name = "box.example";
  options.link_url = "https://box.example:8443";
  options.state_dir = dir.path();
  options.ui_dir = dir.path() / "ui";
  options.limits = limits;
  options.wildcard_domain = wildcard_domain;
  if (!wildcard_domain.empty()) options.portal_url = "https://box.example", options.workspace_url = "https://box.example:8444";
  WebServices services{*store, clock, *directory, *campaigns, *logins, *tokens, *shares, *sessions, *audit, *manager, {}, {}};
  services.usage = &usage;
  server = WebServer::create(options, services).value();
  const auto listen = [&](Face face, Transport transport) {
    auto acceptor = listen_tcp(lane, "127.0.0.1", 0).value();
    const std::uint16_t port = acceptor.local_endpoint().port();
    server->listen(lane, std::move(acceptor), face, transport);
    return port;
  };
  portal_port = listen(Face::portal, Transport::plain);
  workspace_port = listen(Face::workspaces, Transport::plain);
  tls_port = listen(Face::portal, Transport::tls);
  server->listen_admin(lane, listen_unix(lane, dir.path() / "admin.sock").value());
  client_tls.reset(SSL_CTX_new(TLS_client_method()));
  work_.emplace(lane.io.get_executor());
  thread_ = std::thread([this] { lane.io.run(); });
}

void WebTest::stop(std::chrono::milliseconds drain) {
  if (std::exchange(stopped_, true)) return;
  std::promise<void> done;
  asio::co_spawn(lane.io, server->shutdown(drain), [&done](std::exception_ptr) { done.set_value(); });
  done.get_future().wait();
}

WebTest::~WebTest() {
  stop();
  work_.reset();
  thread_.join();
  server.reset();
  sessions.reset();
  store.reset();
}

Wire WebTest::portal() { return connect_to(portal_port); }
Wire WebTest::workspaces() { return connect_to(workspace_port); }
Wire WebTest::portal_tls() { return connect_to(tls_port, client_tls.get()); }
Wire WebTest::admin() { return Wire(connect_unix_path((dir.path() / "admin.sock").string())); }

Wire WebTest::ssh(const auth::Actor& actor) {
  int pair[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  asio::post(lane.io, [this, actor, end = std::make_shared<FileDescriptor>(pair[0])] { server->serve_ssh(lane, std::move(*end), {actor, "main"}); });
  return Wire(FileDescriptor(pair[1]));
}

Answer WebTest::ssh_call(const auth::Actor& actor, const std::string& method, const std::string& path, const std::string& body) {
  Wire wire = ssh(actor);
  wire.send(request(method, path, {}, body));
  return wire.answer();
}

auth::User WebTest::add_user(const std::string& name, auth::Role role) {
  return run_coroutine(directory->add_user({"admin-socket", auth::Role::admin, "unix", ""}, name, role)).value();
}

auth::Key WebTest::add_key(const std::string& user, int seed) {
  return run_coroutine(directory->add_key({"admin-socket", auth::Role::admin, "unix", ""}, user, key_line(seed), {})).value();
}

WebTest::Login WebTest::login(const std::string& name, auth::Role role) {
  add_user(name, role);
  return login_by_another_key(name, role);
}

WebTest::Login WebTest::login_by_another_key(const std::string& name, auth::Role role) {
  static int seed = 0;
  const auth::Key key = add_key(name, ++seed);
  const std::string token = run_coroutine(logins->make_link({name, role, "127.0.0.1", key.fingerprint})).value();
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/login/link", "Origin: http://127.0.0.1\r\n", nlohmann::json({{"token", token}}).dump()));
  const Answer made = wire.answer();
  EXPECT_EQ(made.status, 200) << made.body;
  const std::string set = made.field("Set-Cookie");
  Login login{name, set.substr(13, set.find(';') - 13), {}, key.fingerprint};
  login.csrf = get("/api/v1/me", cookie_line(login)).json().value("csrf", "");
  return login;
}

std::string WebTest::cross(const Login& login, const std::string& workspace) {
  const Answer away = get("/w/" + login.user + "/" + workspace + "/", cookie_line(login));
  EXPECT_EQ(away.status, 302) << away.body;
  const std::string location = away.field("Location");
  const Answer there = get_workspace(location.substr(location.find("/berth-cross")), cookie_line(login));
  EXPECT_EQ(there.status, 302) << there.body;
  const std::string set = there.field("Set-Cookie");
  return set.substr(0, set.find(';'));
}

Answer WebTest::get(const std::string& path, const std::string& extra) {
  Wire wire = portal();
  wire.send(request("GET", path, extra));
  return wire.answer();
}

Answer WebTest::get_host(const std::string& host, const std::string& path, const std::string& extra) {
  Wire wire = workspaces();
  wire.send(request_to(host, "GET", path, extra));
  return wire.answer();
}

Answer WebTest::get_workspace(const std::string& path, const std::string& extra) {
  Wire wire = workspaces();
  wire.send(request("GET", path, extra));
  return wire.answer();
}

Answer WebTest::change(const std::string& method, const std::string& path, const Login& login, const std::string& body) {
  Wire wire = portal();
  wire.send(request(method, path, cookie_line(login) + "Origin: http://127.0.0.1\r\nX-Berth-CSRF: " + login.csrf + "\r\n", body));
  return wire.answer();
}

Answer WebTest::admin_call(const std::string& method, const std::string& path, const std::string& body) {
  Wire wire = admin();
  wire.send(request(method, path, {}, body));
  return wire.answer();
}

}  // namespace berth::web
