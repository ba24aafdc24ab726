#include "tests/unit/web/harness.hpp"

#include "web/ssh_login.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>
#include <future>

#include "web/http_head.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

FileDescriptor connect_tcp_port(std::uint16_t port) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

FileDescriptor connect_unix_path(const std::string& path) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_address(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

class FakeLink final : public tunnels::AgentLink {
 public:
  FakeLink(FakeWorkspaces& state, workspaces::WorkspaceId id) : state_(state), id_(std::move(id)) {}
  bool alive() const override {
    const std::lock_guard lock(state_.mutex);
    return state_.running && !state_.stopped.contains(id_);
  }
  asio::awaitable<Result<std::unique_ptr<tunnels::Process>>> exec(tunnels::ExecOptions) override { co_return unsupported(); }
  asio::awaitable<Result<tunnels::WorkspaceSocket>> connect_tcp(std::string host, std::uint16_t port) override {
    EXPECT_EQ(host, "localhost");
    FileDescriptor socket = connect_tcp_port(port);
    if (!socket) co_return errno_error("connect", errno);
    co_return socket;
  }
  asio::awaitable<Result<tunnels::WorkspaceSocket>> connect_unix(std::string path) override {
    FileDescriptor socket = connect_unix_path(path);
    if (!socket) co_return errno_error("connect", errno);
    co_return socket;
  }
  asio::awaitable<Result<std::unique_ptr<tunnels::Listener>>> listen_tcp(std::string, std::uint16_t) override { co_return unsupported(); }
  asio::awaitable<Result<std::unique_ptr<tunnels::Listener>>> listen_unix(std::string) override { co_return unsupported(); }
  asio::awaitable<Result<std::string>> service(tunnels::ServiceOptions) override { co_return unsupported(); }
  asio::awaitable<Result<void>> stop_service(std::string) override { co_return unsupported(); }
  asio::awaitable<Result<nlohmann::json>> report() override { co_return unsupported(); }

 private:
  static Error unsupported() { return Error{ErrorKind::unavailable, "not in this test"}; }
  FakeWorkspaces& state_;
  const workspaces::WorkspaceId id_;
};

class FakeManager final : public workspaces::Manager {
 public:
  explicit FakeManager(FakeWorkspaces& state) : state_(state) {}
  asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> open(Lane& lane, workspaces::WorkspaceId id, workspaces::Progress progress) override {
    std::chrono::milliseconds takes{};
    {
      const std::lock_guard lock(state_.mutex);
      takes = state_.start_takes;
      ++state_.starts;
    }
    progress("Starting <your> workspace…");
    asio::steady_timer timer(lane.io, takes);
    co_await timer.async_wait(asio::use_awaitable);
    const std::lock_guard lock(state_.mutex);
    if (!state_.start_failure.empty()) co_return Error{ErrorKind::unavailable, state_.start_failure};
    state_.running = true;
    state_.stopped.erase(id);
    auto& link = links_[id];
    if (!link) link = std::make_shared<FakeLink>(state_, id);
    co_return std::shared_ptr<tunnels::AgentLink>(link);
  }
  bool keeper_connected() const override { return true; }
  asio::awaitable<Result<void>> stop(Lane&, workspaces::WorkspaceId id) override {
    {
      const std::lock_guard lock(state_.mutex);
      state_.stopped.insert(id);
    }
    if (state_.watcher) state_.watcher(id.user);
    co_return Result<void>{};
  }
  asio::awaitable<Result<void>> reset(Lane&, workspaces::WorkspaceId) override { co_return Result<void>{}; }
  asio::awaitable<Result<void>> remove(Lane&, workspaces::WorkspaceId id, bool with_home) override {
    const std::lock_guard lock(state_.mutex);
    state_.removed.push_back(id.user + "+" + id.name + (with_home ? " with home" : ""));
    co_return Result<void>{};
  }
  asio::awaitable<Result<std::vector<workspaces::WorkspaceStatus>>> list(Lane&, std::string user) override {
    const std::lock_guard lock(state_.mutex);
    workspaces::WorkspaceStatus status;
    status.id = {user.empty() ? "ada" : user, "main"};
    status.state = state_.running && !state_.stopped.contains(status.id) ? workspaces::WorkspaceState::running : workspaces::WorkspaceState::stopped;
    status.image = "berth-default";
    status.created_at = Timestamp(std::chrono::seconds(1));
    co_return std::vector{status};
  }
  asio::awaitable<Result<Jupyter>> jupyter(Lane&, workspaces::WorkspaceId, workspaces::Progress progress) override {
    progress("Starting Jupyter…");
    const std::lock_guard lock(state_.mutex);
    co_return Jupyter{state_.jupyter_socket, "s3cret-token"};
  }
  asio::awaitable<Result<void>> start() override { co_return Result<void>{}; }
  void shutdown() override {}
  void watch(std::function<void(const std::string& user)> changed) override { state_.watcher = std::move(changed); }

 private:
  FakeWorkspaces& state_;
  std::map<workspaces::WorkspaceId, std::shared_ptr<FakeLink>> links_;  // touched on the lane
};

std::string wire_string(std::string_view bytes) {
  std::string field;
  for (int shift = 24; shift >= 0; shift -= 8) field += static_cast<char>(bytes.size() >> shift & 0xff);
  return field.append(bytes);
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

std::unique_ptr<workspaces::Manager> make_fake_manager(FakeWorkspaces& state) { return std::make_unique<FakeManager>(state); }

std::vector<std::string> Answer::fields(std::string_view name) const {
  std::vector<std::string> found;
  std::size_t at = head.find("\r\n");
  while (at + 2 < head.size()) {
    const std::size_t from = at + 2, end = head.find("\r\n", from);
    const std::string line = head.substr(from, end - from);
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && equals_ignoring_case(line.substr(0, colon), name)) found.push_back(line.substr(line.find_first_not_of(' ', colon + 1)));
    at = end;
  }
  return found;
}

std::string Answer::field(std::string_view name) const {
  const auto found = fields(name);
  return found.empty() ? std::string() : found.front();
}

Wire::Wire(FileDescriptor socket, SSL_CTX* tls) : socket_(std::move(socket)) {
  const timeval limit{10, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!tls) return;
  ssl_.reset(SSL_new(tls));
  SSL_set_fd(ssl_.get(), socket_.get());
  SSL_connect(ssl_.get());
}

void Wire::send(std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ssl_ ? SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())) : ::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the other side closed: what it answered tells why
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string Wire::receive() {
  if (!buffered_.empty()) return std::exchange(buffered_, {});
  std::string data(64 * 1024, '\0');
  const ssize_t got = ssl_ ? SSL_read(ssl_.get(), data.data(), static_cast<int>(data.size())) : ::recv(socket_.get(), data.data(), data.size(), 0);
  if (got < 0 && errno == EAGAIN) ADD_FAILURE() << "nothing came for 10 s";
  data.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return data;
}

std::string Wire::receive_until(std::string_view mark) {
  std::string data;
  std::size_t at;
  while ((at = data.find(mark)) == std::string::npos) {
    const std::string part = receive();
    if (part.empty()) return data;
    data += part;
  }
  buffered_ = data.substr(at + mark.size());
  data.resize(at + mark.size());
  return data;
}

std::string Wire::receive_exactly(std::size_t size) {
  std::string data;
  while (data.size() < size) {
    const std::string part = receive();
    if (part.empty()) return data;
    data += part;
  }
  buffered_ = data.substr(size);
  data.resize(size);
  return data;
}

std::string Wire::receive_all() {
  std::string data;
  while (true) {
    const std::string part = receive();
    if (part.empty()) return data;
    data += part;
  }
}

bool Wire::ended() { return receive().empty(); }

Answer Wire::answer(std::string_view method) {
  Answer answer;
  answer.head = receive_until("\r\n\r\n");
  if (answer.head.size() < 12) return answer;
  answer.status = std::stoi(answer.head.substr(9, 3));
  const bool no_body = method == "HEAD" || answer.status == 204 || answer.status == 304 || answer.status < 200;
  if (no_body) return answer;
  if (answer.field("Transfer-Encoding") == "chunked") {
    ChunkScanner scanner;
    std::size_t used = 0;
    while (scanner.scan(receive_exactly(1), used, &answer.body) == ChunkScanner::State::more) {
    }
  } else if (!answer.field("Content-Length").empty()) {
    answer.body = receive_exactly(std::stoul(answer.field("Content-Length")));
  } else {
    answer.body = receive_all();
  }
  return answer;
}

void Wire::finish_sending() {
  if (ssl_) SSL_shutdown(ssl_.get());
  else ::shutdown(socket_.get(), SHUT_WR);
}

Wire connect_to(std::uint16_t port, SSL_CTX* tls) { return Wire(connect_tcp_port(port), tls); }

Upstream::Upstream() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(socket_.get(), 16), 0);
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
}

Upstream::Upstream(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_un address = unix_address(path);
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(socket_.get(), 16), 0);
}

bool Upstream::somebody_waits(int milliseconds) {
  pollfd look{socket_.get(), POLLIN, 0};
  return ::poll(&look, 1, milliseconds) == 1;
}

Wire Upstream::accept() {
  if (!somebody_waits(10'000)) {
    ADD_FAILURE() << "nobody connected for 10 s";
    return Wire(FileDescriptor());
  }
  return Wire(FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

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

std::string key_line(int seed) {
  const std::string blob = wire_string("ssh-ed25519") + wire_string(sha256("key " + std::to_string(seed)));
  return "ssh-ed25519 " + base64_encode(blob) + " k" + std::to_string(seed);
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
