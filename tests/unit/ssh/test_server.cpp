#include "tests/unit/ssh/test_server.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <csignal>

#include "base/handles.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh::test {
namespace asio = boost::asio;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;
using ChannelHandle = std::shared_ptr<Channel>;
using SessionHandle = std::shared_ptr<Session>;

namespace {

struct Pipe {
  FileDescriptor read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

template <class Stream>
asio::awaitable<void> to_channel(Stream& from, ChannelHandle channel, bool as_stderr) {
  std::vector<char> buffer(64 * 1024);
  boost::system::error_code error;
  for (;;) {
    const std::size_t count = co_await from.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    const Result<void> written = co_await channel->write(asio::buffer(buffer, count), as_stderr);
    if (!written) co_return;
  }
}

template <class Stream>
asio::awaitable<void> from_channel(ChannelHandle channel, Stream& to) {
  std::vector<char> buffer(64 * 1024);
  boost::system::error_code error;
  for (;;) {
    const Result<std::size_t> count = co_await channel->read(asio::buffer(buffer));
    if (!count || *count == 0) break;
    co_await asio::async_write(to, asio::buffer(buffer, *count), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
  }
  if constexpr (requires { to.shutdown(tcp::socket::shutdown_send, error); }) {
    to.shutdown(tcp::socket::shutdown_send, error);
  } else {
    to.close(error);
  }
}

// On its own, because a command may end without reading its input. What the pipe takes of the first 20,000 bytes of a packet it gets at once, and what
// remains in its turn: as server/gateway/relay.cpp, which has no such limit.
asio::awaitable<void> feed_input(ChannelHandle channel, asio::posix::stream_descriptor to) {
  constexpr std::size_t kMost = 20'000;
  const auto pass_on = [&to](std::string_view data) { return ::write(to.native_handle(), data.data(), data.size()); };
  to.native_non_blocking(true);
  channel->take_at_once([pass_on](std::string_view data) { return static_cast<std::size_t>(std::max<ssize_t>(0, pass_on(data.substr(0, kMost)))); });
  boost::system::error_code error;
  while (!error) {
    const Result<std::string_view> come = co_await channel->peek();
    if (!come || come->empty()) break;
    const ssize_t passed = pass_on(*come);
    if (passed > 0) {
      channel->consume(static_cast<std::size_t>(passed));
    } else if (errno == EAGAIN) {
      co_await to.async_wait(asio::posix::stream_descriptor::wait_write, asio::redirect_error(asio::use_awaitable, error));
    } else {
      break;
    }
  }
  channel->take_at_once({});
}

asio::awaitable<void> run_command(ChannelHandle channel, std::string command) {
  const auto executor = co_await asio::this_coro::executor;
  Pipe in, out, err;
  const pid_t pid = spawn({"/bin/sh", "-c", command}, in.read.get(), out.write.get(), err.write.get());
  FileDescriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  in.read.reset();
  out.write.reset();
  err.write.reset();
  asio::co_spawn(executor, feed_input(channel, asio::posix::stream_descriptor(executor, in.write.release())), asio::detached);
  asio::posix::stream_descriptor output(executor, out.read.release()), errors(executor, err.read.release());
  asio::awaitable<void> first = to_channel(output, channel, false);
  asio::awaitable<void> second = to_channel(errors, channel, true);
  co_await (std::move(first) && std::move(second));
  asio::posix::stream_descriptor ended(executor, process.release());
  co_await ended.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
  int status = 0;
  waitpid(pid, &status, 0);
  channel->send_eof();
  if (WIFSIGNALED(status)) {
    channel->send_exit_signal(sigabbrev_np(WTERMSIG(status)), false, "");
  } else {
    channel->send_exit_status(static_cast<std::uint32_t>(WEXITSTATUS(status)));
  }
  channel->close();
}

asio::awaitable<void> serve_session_channel(ChannelHandle channel) {
  channel->confirm();
  std::string environment;
  for (;;) {
    const Result<ChannelRequest> request = co_await channel->next_request();
    if (!request) co_return;
    if (const auto* env = std::get_if<EnvRequest>(&*request)) environment += "export " + env->name + "='" + env->value + "'; ";
    const auto* pty = std::get_if<PtyRequest>(&*request);
    if (pty) environment += "export PTY='" + pty->term + "'; ";
    const auto* exec = std::get_if<ExecRequest>(&*request);
    const auto* subsystem = std::get_if<SubsystemRequest>(&*request);
    channel->reply(exec || pty || (subsystem && subsystem->name == "echo") || std::holds_alternative<EnvRequest>(*request));
    if (exec) {
      std::string command = environment + exec->command;
      asio::co_spawn(co_await asio::this_coro::executor, run_command(channel, std::move(command)), asio::detached);
    }
    if (subsystem) asio::co_spawn(co_await asio::this_coro::executor, run_command(channel, "cat"), asio::detached);
  }
}

asio::awaitable<void> to_client(tcp::socket& from, ChannelHandle channel) {
  asio::awaitable<void> all = to_channel(from, channel, false);
  co_await std::move(all);
  channel->send_eof();
}

// Awaitables are named: g++ 12 destroys arguments twice that are temporaries of a co_await expression.
asio::awaitable<void> relay(ChannelHandle channel, tcp::socket& socket) {
  asio::awaitable<void> down = to_client(socket, channel);
  asio::awaitable<void> up = from_channel(channel, socket);
  co_await (std::move(down) && std::move(up));
  channel->close();
}

asio::awaitable<void> serve_forward(ChannelHandle channel, std::string host, std::uint32_t port) {
  tcp::socket target(co_await asio::this_coro::executor);
  boost::system::error_code error;
  if (host == "localhost") host = "127.0.0.1";
  const tcp::endpoint endpoint(asio::ip::make_address(host), static_cast<std::uint16_t>(port));
  co_await target.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (error) {
    channel->refuse(OpenFailure::connect_failed, error.message());
    co_return;
  }
  channel->confirm();
  asio::awaitable<void> both = relay(channel, target);
  co_await std::move(both);
}

asio::awaitable<void> serve_reverse(SessionHandle session, tcp::socket client, std::string host, std::uint32_t port) {
  const std::string data(WireWriter().string(host).u32(port).string("127.0.0.1").u32(1).bytes());
  const std::string type = "forwarded-tcpip";
  Result<ChannelHandle> channel = co_await session->open_channel(type, data);
  if (!channel) co_return;
  asio::awaitable<void> both = relay(*channel, client);
  co_await std::move(both);
}

asio::awaitable<void> serve_listener(SessionHandle session, std::shared_ptr<tcp::acceptor> listener, std::string host, std::uint32_t port) {
  boost::system::error_code error;
  for (;;) {
    tcp::socket client = co_await listener->async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    asio::co_spawn(co_await asio::this_coro::executor, serve_reverse(session, std::move(client), host, port), asio::detached);
  }
}

asio::awaitable<void> serve_globals(SessionHandle session) {
  std::vector<std::shared_ptr<tcp::acceptor>> listeners;
  for (;;) {
    const Result<GlobalRequest> request = co_await session->next_global_request();
    if (!request) break;
    const auto* forward = std::get_if<TcpipForward>(&*request);
    if (!forward) {
      session->reply_global(false);
      continue;
    }
    const auto executor = co_await asio::this_coro::executor;
    if (forward->bind_host == "refused-slowly") {
      asio::steady_timer timer(executor, std::chrono::milliseconds(500));
      co_await timer.async_wait(asio::use_awaitable);
      session->reply_global(false);
      continue;
    }
    auto listener = std::make_shared<tcp::acceptor>(executor, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    listeners.push_back(listener);
    const std::uint32_t port = listener->local_endpoint().port();
    asio::co_spawn(executor, serve_listener(session, listener, forward->bind_host, port), asio::detached);
    session->reply_global(true, port);
  }
  for (const auto& listener : listeners) listener->close();
}

}  // namespace

struct Handlers {
  static asio::awaitable<Result<void>> log_in(TestServer& server, SessionHandle session) {
    for (;;) {
      const Result<AuthRequest> request = co_await session->next_auth_request();
      if (!request) co_return request.error();
      if (request->user == "banner") session->send_banner("Hello from the test.\r\n");
      if (request->user == "goaway") session->disconnect(kDisconnectByApplication, "Come back tomorrow.");
      const auto& keys = server.allowed_keys_;
      const bool accept = std::find(keys.begin(), keys.end(), request->key.blob) != keys.end();
      session->answer_auth(accept);
      if (accept && request->is_signed) co_return boost::system::in_place_value;
    }
  }

  static asio::awaitable<void> serve(TestServer& server, tcp::socket socket) {
    const auto executor = co_await asio::this_coro::executor;
    std::optional<Error> end;
    std::string cipher;
    Result<SessionHandle> session = co_await Session::handshake(std::move(socket), server.options_);
    if (!session) end = session.error();
    if (!end) {
      cipher = (*session)->cipher();
      (*session)->send_banner("Welcome.\r\n");
      const Result<void> logged_in = co_await log_in(server, *session);
      if (!logged_in) end = logged_in.error();
    }
    if (!end) asio::co_spawn(executor, serve_globals(*session), asio::detached);
    while (!end) {
      const Result<ChannelHandle> channel = co_await (*session)->next_channel();
      if (!channel) {
        end = channel.error();
      } else if (const auto* forward = std::get_if<DirectTcpip>(&(*channel)->opening())) {
        asio::co_spawn(executor, serve_forward(*channel, forward->host, forward->port), asio::detached);
      } else if (std::holds_alternative<SessionOpen>((*channel)->opening())) {
        asio::co_spawn(executor, serve_session_channel(*channel), asio::detached);
      } else {
        (*channel)->refuse(OpenFailure::prohibited, "not in this test");
      }
    }
    const std::lock_guard lock(server.mutex_);
    server.last_end_ = std::string(name_of(end->kind)) + ": " + end->message;
    server.last_cipher_ = cipher;
    ++server.ended_;
  }

  static asio::awaitable<void> accept(TestServer& server) {
    boost::system::error_code error;
    for (;;) {
      tcp::socket socket = co_await server.acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      asio::co_spawn(server.io_, serve(server, std::move(socket)), asio::detached);
    }
  }
};

TestServer::TestServer(std::vector<std::string> allowed_keys, std::shared_ptr<ServerOptions> options)
    : allowed_keys_(std::move(allowed_keys)), options_(std::move(options)) {
  std::signal(SIGPIPE, SIG_IGN);  // of the commands' pipes; the library itself never raises it
  acceptor_.open(tcp::v4());
  acceptor_.bind({asio::ip::address_v4::loopback(), 0});
  acceptor_.listen();
  port_ = acceptor_.local_endpoint().port();
  asio::co_spawn(io_, Handlers::accept(*this), asio::detached);
  thread_ = std::thread([this] { io_.run(); });
}

TestServer::~TestServer() {
  io_.stop();
  thread_.join();
}

std::shared_ptr<ServerOptions> TestServer::default_options() {
  static const std::string host_key = generate_host_key("ed25519").value();
  auto options = std::make_shared<ServerOptions>();
  options->host_keys = {host_key};
  return options;
}

std::vector<std::string> TestServer::ssh(const std::string& key_file, std::vector<std::string> rest) const {
  std::vector<std::string> command = {"ssh", "-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                                      "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
                                      "-i", key_file, "-p", std::to_string(port_), "-l", "ada"};
  command.insert(command.end(), rest.begin(), rest.end());
  return command;
}

std::string TestServer::last_end() const {
  const std::lock_guard lock(mutex_);
  return last_end_;
}
std::string TestServer::last_cipher() const {
  const std::lock_guard lock(mutex_);
  return last_cipher_;
}

}  // namespace berth::ssh::test
