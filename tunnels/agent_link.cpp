#include "tunnels/agent_link.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "tunnels/link.hpp"

namespace berth::tunnels {
namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kAnswerLimit{10'000}, kConnectLimit{30'000}, kStopLimit{15'000}, kReportLimit{5'000};

// Closes the link when the last AgentLink, Process and Listener of it is gone.
class Handle {
 public:
  explicit Handle(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  ~Handle() { link_->close(); }
  Handle(const Handle&) = delete;
  Link& operator*() const { return *link_; }
  Link* operator->() const { return link_.get(); }

 private:
  std::shared_ptr<Link> link_;
};

// Waits until something about the operation changes. A cancelled caller gets operation_aborted, as from Asio's own.
asio::awaitable<void> next_change(Operation& operation) {
  boost::system::error_code ignored;
  co_await operation.changed.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
}

Error broken_answer() { return {ErrorKind::protocol, "the workspace's agent gave an answer that makes no sense"}; }

template <class T>
std::optional<T> number_of(const json& fields, const char* key) {
  auto found = fields.find(key);
  if (found == fields.end() || !found->is_number_unsigned()) return std::nullopt;
  auto value = found->get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return std::nullopt;
  return static_cast<T>(value);
}

class LinkedProcess final : public Process {
 public:
  LinkedProcess(std::shared_ptr<Handle> handle, Link::Asked asked, std::int64_t pid)
      : handle_(std::move(handle)), op_(asked.op), operation_(std::move(asked.operation)), pid_(pid) {}
  // The link's table keeps the operation until the exit is told: what was not taken must not stay open that long.
  ~LinkedProcess() override { operation_->descriptors.clear(); }
  std::int64_t pid() const override { return pid_; }
  FileDescriptor take_terminal() override { return take(Expected::terminal, 0); }
  FileDescriptor take_stdin() override { return take(Expected::pipes, 0); }
  FileDescriptor take_stdout() override { return take(Expected::pipes, 1); }
  FileDescriptor take_stderr() override { return take(Expected::pipes, 2); }

  void resize(std::uint32_t columns, std::uint32_t rows, std::uint32_t width_pixels, std::uint32_t height_pixels) override;
  void signal(std::string_view name) override {
    if (!operation_->ended) (*handle_)->tell({{"type", "signal"}, {"op", op_}, {"name", wire::encode_bytes(name.substr(0, 32))}});
  }

  asio::awaitable<Result<ExitStatus>> wait() override {
    auto operation = operation_;  // this object may go while it waits
    while (!operation->ended) co_await next_change(*operation);
    if (operation->lost) co_return Error{ErrorKind::closed, "the workspace went away"};
    co_return operation->exit;
  }

 private:
  FileDescriptor take(Expected expected, std::size_t index) {
    if (operation_->expected != expected || index >= operation_->descriptors.size()) return {};
    return std::move(operation_->descriptors[index]);
  }
  std::shared_ptr<Handle> handle_;
  std::uint64_t op_;
  std::shared_ptr<Operation> operation_;
  std::int64_t pid_;
};

std::uint32_t side(std::uint32_t value) { return std::min<std::uint32_t>(value, 65535); }

void LinkedProcess::resize(std::uint32_t columns, std::uint32_t rows, std::uint32_t width_pixels, std::uint32_t height_pixels) {
  if (operation_->ended) return;
  (*handle_)->tell({{"type", "resize"}, {"op", op_}, {"columns", side(columns)}, {"rows", side(rows)},
                    {"width", side(width_pixels)}, {"height", side(height_pixels)}});
}

class LinkedListener final : public Listener {
 public:
  LinkedListener(std::shared_ptr<Handle> handle, Link::Asked asked, std::uint16_t port)
      : handle_(std::move(handle)), op_(asked.op), operation_(std::move(asked.operation)), port_(port) {}
  ~LinkedListener() override {
    operation_->abandoned = true;
    operation_->accepted.clear();
    operation_->changed.cancel();
    if (!operation_->ended) (*handle_)->tell({{"type", "close"}, {"op", op_}});
  }
  std::uint16_t port() const override { return port_; }

  asio::awaitable<Result<Accepted>> accept() override {
    auto operation = operation_;  // this object may go while it waits
    auto handle = handle_;
    while (operation->accepted.empty() && !operation->ended && !operation->abandoned) co_await next_change(*operation);
    if (operation->abandoned || operation->accepted.empty()) co_return Error{ErrorKind::closed, "the workspace stopped listening"};
    Accepted accepted = std::move(operation->accepted.front());
    operation->accepted.pop_front();
    (*handle)->tell({{"type", "credit"}, {"op", op_}, {"count", 1}});
    co_return accepted;
  }

 private:
  std::shared_ptr<Handle> handle_;
  std::uint64_t op_;
  std::shared_ptr<Operation> operation_;
  std::uint16_t port_;
};

json encode_list(const std::vector<std::string>& list) {
  json encoded = json::array();
  for (const auto& item : list) encoded.push_back(wire::encode_bytes(item));
  return encoded;
}

json encode_environment(const std::map<std::string, std::string>& environment) {
  json encoded = json::object();
  for (const auto& [name, value] : environment) encoded[wire::encode_bytes(name)] = wire::encode_bytes(value);
  return encoded;
}

json encode_exec(const ExecOptions& options) {
  json request{{"type", "exec"}, {"env", encode_environment(options.env)}};
  if (!options.argv.empty()) request["argv"] = encode_list(options.argv);
  else if (options.command) request["command"] = wire::encode_bytes(*options.command);
  if (!options.cwd.empty()) request["cwd"] = wire::encode_bytes(options.cwd);
  if (options.pty)
    request["pty"] = {{"term", wire::encode_bytes(options.pty->term)}, {"columns", side(options.pty->columns)},
                      {"rows", side(options.pty->rows)}, {"width", side(options.pty->width_pixels)},
                      {"height", side(options.pty->height_pixels)}, {"modes", wire::encode_bytes(options.pty->modes)}};
  return request;
}

class LinkedAgent final : public AgentLink {
 public:
  explicit LinkedAgent(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
  bool alive() const override { return (*handle_)->alive(); }

  asio::awaitable<Result<std::unique_ptr<Process>>> exec(ExecOptions options) override {
    auto handle = handle_;
    json request = encode_exec(options);
    auto asked = co_await (*handle)->ask(std::move(request), options.pty ? Expected::terminal : Expected::pipes, Follows::exit, kAnswerLimit);
    if (!asked) co_return asked.error();
    auto pid = number_of<std::int64_t>(asked->fields(), "pid");
    if (!pid) co_return broken_answer();
    co_return std::make_unique<LinkedProcess>(handle, std::move(*asked), *pid);
  }

  asio::awaitable<Result<FileDescriptor>> connect_tcp(std::string host, std::uint16_t port) override {
    json request{{"type", "connect"}, {"host", wire::encode_bytes(host)}, {"port", port}};
    return connect(handle_, std::move(request));
  }

  asio::awaitable<Result<FileDescriptor>> connect_unix(std::string path) override {
    json request{{"type", "connect"}, {"path", wire::encode_bytes(path)}};
    return connect(handle_, std::move(request));
  }

  asio::awaitable<Result<std::unique_ptr<Listener>>> listen_tcp(std::string host, std::uint16_t port) override {
    json request{{"type", "listen"}, {"host", wire::encode_bytes(host)}, {"port", port}};
    return listen(handle_, std::move(request));
  }

  asio::awaitable<Result<std::unique_ptr<Listener>>> listen_unix(std::string path) override {
    json request{{"type", "listen"}, {"path", wire::encode_bytes(path)}};
    return listen(handle_, std::move(request));
  }

  asio::awaitable<Result<std::string>> service(ServiceOptions options) override {
    auto handle = handle_;
    milliseconds limit = options.start_limit;
    json request{{"type", "service"}, {"name", options.name}, {"argv", encode_list(options.argv)},
                 {"env", encode_environment(options.env)}, {"start_limit_ms", limit.count()}};
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::nothing, limit + kAnswerLimit);
    if (!asked) co_return asked.error();
    auto path = asked->fields().find("path");
    if (path == asked->fields().end() || !path->is_string()) co_return broken_answer();
    auto bytes = wire::decode_bytes(path->get_ref<const std::string&>());
    if (!bytes || bytes->empty() || bytes->front() != '/') co_return broken_answer();
    co_return std::move(*bytes);
  }

  asio::awaitable<Result<void>> stop_service(std::string name) override {
    auto handle = handle_;
    json request{{"type", "stop_service"}, {"name", wire::encode_bytes(name)}};
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::nothing, kStopLimit);
    if (!asked) co_return asked.error();
    co_return Result<void>();
  }

  asio::awaitable<Result<json>> report() override {
    auto handle = handle_;
    json request{{"type", "report"}};
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::nothing, kReportLimit);
    if (!asked) co_return asked.error();
    json report = asked->fields();
    report.erase("type");
    report.erase("op");
    co_return Result<json>(boost::system::in_place_value, std::move(report));  // json converts to anything: name the one meant
  }

 private:
  // Static, with the handle by value: the caller may drop the AgentLink while they run.
  static asio::awaitable<Result<FileDescriptor>> connect(std::shared_ptr<Handle> handle, json request) {
    auto asked = co_await (*handle)->ask(std::move(request), Expected::socket, Follows::nothing, kConnectLimit);
    if (!asked) co_return asked.error();
    co_return std::move(asked->operation->descriptors[0]);
  }

  static asio::awaitable<Result<std::unique_ptr<Listener>>> listen(std::shared_ptr<Handle> handle, json request) {
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::connections, kAnswerLimit);
    if (!asked) co_return asked.error();
    auto port = number_of<std::uint16_t>(asked->fields(), "port");
    if (!port) co_return broken_answer();
    co_return std::make_unique<LinkedListener>(handle, std::move(*asked), *port);
  }

  std::shared_ptr<Handle> handle_;
};

}  // namespace

std::shared_ptr<AgentLink> make_agent_link(asio::any_io_executor executor, FileDescriptor socket, std::function<void()> on_closed) {
  auto link = std::make_shared<Link>(executor, std::move(socket), std::move(on_closed));
  link->start();
  return std::make_shared<LinkedAgent>(std::make_shared<Handle>(std::move(link)));
}

}  // namespace berth::tunnels
