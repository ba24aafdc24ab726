#include "tunnels/agent_link.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "tunnels/agent_messages.hpp"
#include "tunnels/link.hpp"
#include "tunnels/plumbing.hpp"

namespace berth::tunnels {
namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

// When an agent counts as stuck. Far over what it needs: at a load of 100 a start has taken more than 10 s. Its own limits are shorter (29 s to connect).
constexpr milliseconds kAnswerLimit{60'000}, kConnectLimit{60'000}, kStopLimit{60'000}, kReportLimit{5'000};
constexpr std::size_t kMostTerminals = 64;  // that the agent may list

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

class LinkedProcess final : public Process {
 public:
  LinkedProcess(std::shared_ptr<Handle> handle, Link::Asked asked, std::int64_t pid, std::vector<FileDescriptor> pipes, std::string terminal, View view)
      : handle_(std::move(handle)), op_(asked.op), operation_(std::move(asked.operation)), pid_(pid), pipes_(std::move(pipes)),
        terminal_(std::move(terminal)), view_(std::move(view)) {}
  ~LinkedProcess() override { operation_->changes = nullptr; }
  std::int64_t pid() const override { return pid_; }
  FileDescriptor take_stdin() override { return take(0); }
  FileDescriptor take_stdout() override { return take(1); }
  FileDescriptor take_stderr() override { return take(2); }

  void resize(std::uint32_t columns, std::uint32_t rows, std::uint32_t width_pixels, std::uint32_t height_pixels) override;
  void signal(std::string_view name) override {
    if (!operation_->ended) (*handle_)->tell({{"type", "signal"}, {"op", op_}, {"name", wire::encode_bytes(name.substr(0, 32))}});
  }

  asio::awaitable<Result<ExitStatus>> wait() override {
    auto operation = operation_;  // this object may go while it waits
    while (!operation->ended) co_await next_change(*operation);
    if (operation->lost) co_return Error{ErrorKind::closed, "the workspace went away"};
    if (operation->detached) co_return Error{ErrorKind::conflict, "detached: " + *operation->detached};
    co_return operation->exit;
  }

  std::string terminal() const override { return terminal_; }
  void hang_up() override {
    if (!terminal_.empty()) (*handle_)->tell({{"type", "hangup"}, {"op", op_}, {"id", terminal_}});
  }
  void on_change(std::function<void(const TerminalChange&)> changed) override { operation_->changes = std::move(changed); }
  View view() const override { return view_; }

 private:
  FileDescriptor take(std::size_t index) { return index < pipes_.size() ? std::move(pipes_[index]) : FileDescriptor(); }
  std::shared_ptr<Handle> handle_;
  std::uint64_t op_;
  std::shared_ptr<Operation> operation_;
  std::int64_t pid_;
  std::vector<FileDescriptor> pipes_;
  std::string terminal_;
  View view_;
};

void LinkedProcess::resize(std::uint32_t columns, std::uint32_t rows, std::uint32_t width_pixels, std::uint32_t height_pixels) {
  if (operation_->ended) return;
  (*handle_)->tell({{"type", "resize"}, {"op", op_}, {"columns", side(columns)}, {"rows", side(rows)},
                    {"width", side(width_pixels)}, {"height", side(height_pixels)}});
}

class LinkedListener final : public Listener {
 public:
  LinkedListener(std::shared_ptr<Handle> handle, Link::Asked asked, std::uint16_t port, std::string path)
      : handle_(std::move(handle)), op_(asked.op), operation_(std::move(asked.operation)), port_(port), path_(std::move(path)) {}
  ~LinkedListener() override {
    operation_->abandoned = true;
    operation_->accepted.clear();
    operation_->changed.cancel();
    if (!operation_->ended) (*handle_)->tell({{"type", "close"}, {"op", op_}});
  }
  std::uint16_t port() const override { return port_; }
  std::string path() const override { return path_; }

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
  std::string path_;
};

class LinkedAgent final : public AgentLink {
 public:
  explicit LinkedAgent(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
  bool alive() const override { return (*handle_)->alive(); }

  asio::awaitable<Result<std::unique_ptr<Process>>> exec(ExecOptions options) override {
    auto handle = handle_;
    json request = encode_exec(options);
    return start(std::move(handle), std::move(request), options.pty.has_value());
  }

  asio::awaitable<Result<std::unique_ptr<Process>>> attach(AttachOptions options) override {
    auto handle = handle_;
    json request{{"type", "attach"}, {"id", wire::encode_bytes(options.id.substr(0, 64))}, {"columns", side(options.size.columns)},
                 {"rows", side(options.size.rows)}, {"width", 0}, {"height", 0}, {"watch", options.watch_only}, {"alone", options.alone}};
    if (options.from) request["from"] = *options.from;
    if (options.replay != UINT64_MAX) request["replay"] = options.replay;
    return start(std::move(handle), std::move(request), true);
  }

  asio::awaitable<Result<std::vector<TerminalInfo>>> terminals() override {
    auto handle = handle_;
    json request{{"type", "terminals"}};
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::nothing, kReportLimit);
    if (!asked) co_return asked.error();
    auto list = asked->fields().find("terminals");
    if (list == asked->fields().end() || !list->is_array() || list->size() > kMostTerminals) co_return broken_answer();
    std::vector<TerminalInfo> terminals;
    for (const auto& item : *list) {
      auto info = read_terminal(item);
      if (!info) co_return broken_answer();
      terminals.push_back(std::move(*info));
    }
    co_return terminals;
  }

  void end_terminal(const std::string& id) override {
    (*handle_)->tell({{"type", "hangup"}, {"op", 0}, {"id", wire::encode_bytes(id.substr(0, 64))}});
  }

  void dial_another() override { (*handle_)->tell({{"type", "dial_another"}, {"op", 0}}); }

  asio::awaitable<Result<WorkspaceSocket>> connect_tcp(std::string host, std::uint16_t port) override {
    json request{{"type", "connect"}, {"host", wire::encode_bytes(host)}, {"port", port}};
    return connect(handle_, std::move(request));
  }

  asio::awaitable<Result<WorkspaceSocket>> connect_unix(std::string path) override {
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

  asio::awaitable<Result<std::unique_ptr<Listener>>> listen_private(std::string name) override {
    json request{{"type", "listen"}, {"private", {{"socket", name}}}};
    return listen(handle_, std::move(request), true);
  }

  asio::awaitable<Result<std::unique_ptr<Listener>>> listen_tcp_private(std::string host, std::uint16_t port,
                                                                        std::map<std::string, std::string> files) override {
    json encoded = json::object();
    for (const auto& [name, text] : files) encoded[name] = wire::encode_bytes(text);
    json request{{"type", "listen"}, {"host", wire::encode_bytes(host)}, {"port", port}, {"private", {{"files", std::move(encoded)}}}};
    return listen(handle_, std::move(request), true);
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
  static asio::awaitable<Result<std::unique_ptr<Process>>> start(std::shared_ptr<Handle> handle, json request, bool terminal) {
    auto plumbing = make_plumbing(terminal);
    if (!plumbing) co_return plumbing.error();
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::exit, kAnswerLimit, std::move(plumbing->theirs));
    if (!asked) co_return asked.error();
    const json& fields = asked->fields();
    auto pid = number_of<std::int64_t>(fields, "pid");
    const std::string id = text_of(fields, "terminal");
    if (!pid || (terminal && !is_terminal_id(id))) co_return broken_answer();
    Process::View view;
    if (terminal) {
      view.from = number_of<std::uint64_t>(fields, "from").value_or(0);
      view.restore = wire::decode_bytes(text_of(fields, "restore")).value_or("");
      view.size = {number_of<std::uint16_t>(fields, "columns").value_or(0), number_of<std::uint16_t>(fields, "rows").value_or(0)};
      view.title = shown_text(fields, "title");
    }
    co_return std::make_unique<LinkedProcess>(handle, std::move(*asked), *pid, std::move(plumbing->ours), id, std::move(view));
  }

  static asio::awaitable<Result<WorkspaceSocket>> connect(std::shared_ptr<Handle> handle, json request) {
    auto asked = co_await (*handle)->ask(std::move(request), Expected::socket, Follows::nothing, kConnectLimit);
    if (!asked) co_return asked.error();
    co_return std::move(asked->operation->socket);
  }

  static asio::awaitable<Result<std::unique_ptr<Listener>>> listen(std::shared_ptr<Handle> handle, json request, bool with_path = false) {
    auto asked = co_await (*handle)->ask(std::move(request), Expected::nothing, Follows::connections, kAnswerLimit);
    if (!asked) co_return asked.error();
    auto port = number_of<std::uint16_t>(asked->fields(), "port");
    std::string path = wire::decode_bytes(text_of(asked->fields(), "path")).value_or("");
    // It becomes an environment variable of the workspace's own processes.
    const bool usable = path.starts_with('/') && path.size() <= 256 && path.find('\0') == std::string::npos;
    if (!port || (with_path && !usable)) co_return broken_answer();
    co_return std::make_unique<LinkedListener>(handle, std::move(*asked), *port, std::move(path));
  }

  std::shared_ptr<Handle> handle_;
};

}  // namespace

// What only a real agent can do.
asio::awaitable<Result<std::vector<TerminalInfo>>> AgentLink::terminals() { co_return std::vector<TerminalInfo>(); }
asio::awaitable<Result<std::unique_ptr<Process>>> AgentLink::attach(AttachOptions) { co_return Error{ErrorKind::not_found, "there is no such terminal"}; }
void AgentLink::end_terminal(const std::string&) {}
void AgentLink::dial_another() {}
asio::awaitable<Result<std::unique_ptr<Listener>>> AgentLink::listen_private(std::string) { co_return Error{ErrorKind::unavailable, "not offered"}; }
asio::awaitable<Result<std::unique_ptr<Listener>>> AgentLink::listen_tcp_private(std::string, std::uint16_t, std::map<std::string, std::string>) {
  co_return Error{ErrorKind::unavailable, "not offered"};
}

std::shared_ptr<AgentLink> make_agent_link(asio::any_io_executor executor, FileDescriptor socket, std::function<void()> on_closed) {
  auto link = std::make_shared<Link>(executor, std::move(socket), std::move(on_closed));
  link->start();
  return std::make_shared<LinkedAgent>(std::make_shared<Handle>(std::move(link)));
}

}  // namespace berth::tunnels
