#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <atomic>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "workspaces/changes.hpp"
#include "workspaces/keeper_link.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
using asio::local::stream_protocol;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds kFirstBackoff{50}, kLastBackoff{2000};
constexpr seconds kConnectPatience{5};  // how long a request waits for a keeper that restarts
constexpr seconds kEnsureSilence{60};   // the keeper gives a sign of life every 10 s while it works
constexpr seconds kStopLimit{330}, kListLimit{30};
constexpr const char* kNotRunning = "the workspace service is not running; try again in a moment, or tell your administrator (berth-keeper)";

// One request under way.
struct Pending {
  std::function<void(const nlohmann::json&)> message;  // progress, directory and items
  std::optional<Result<std::shared_ptr<nlohmann::json>>> result;
  steady_clock::time_point last_sign = steady_clock::now();
  Changes changed;
};

class KeeperClient final : public KeeperLink, public std::enable_shared_from_this<KeeperClient> {
 public:
  KeeperClient(asio::any_io_executor executor, std::string path)
      : executor_(executor), path_(std::move(path)), socket_(executor), retry_(executor) {}

  void start(KeeperEvents events) override {
    events_ = std::move(events);
    asio::co_spawn(executor_, run(shared_from_this()), asio::detached);
  }

  void close() override {
    closed_ = true;
    retry_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
    changed_.notify();
  }

  asio::awaitable<Result<KeeperRecord>> ensure(WorkspaceId id, std::string image, EnsureEvents events) override {
    auto message = [events](const nlohmann::json& json) {
      if (const auto line = json.find("progress"); line != json.end() && line->is_string()) events.progress(line->get<std::string>());
      if (const auto path = json.find("directory"); path != json.end() && path->is_string()) events.directory(path->get<std::string>());
    };
    auto request = request_for("ensure", id);
    if (!image.empty()) request["image"] = image;
    auto answer = co_await call(std::move(request), kEnsureSilence, std::move(message));
    if (answer.has_error()) co_return answer.error();
    co_return parse_record(**answer);
  }

  asio::awaitable<Result<void>> stop(WorkspaceId id) override {
    auto request = request_for("stop", id);
    auto answer = co_await call(std::move(request), kStopLimit, nullptr);
    if (answer.has_error()) co_return answer.error();
    co_return Result<void>();
  }

  asio::awaitable<Result<void>> remove(WorkspaceId id, bool with_home) override {
    auto request = request_for("remove", id);
    request["with_home"] = with_home;
    auto answer = co_await call(std::move(request), kStopLimit, nullptr);
    if (answer.has_error()) co_return answer.error();
    co_return Result<void>();
  }

  asio::awaitable<Result<std::vector<KeeperRecord>>> list() override {
    auto records = std::make_shared<std::vector<KeeperRecord>>();
    auto message = [records](const nlohmann::json& json) {
      const auto item = json.find("item");
      if (item == json.end()) return;
      if (auto record = parse_record(*item)) records->push_back(std::move(*record));
    };
    nlohmann::json request;
    request["do"] = "list";
    auto answer = co_await call(std::move(request), kListLimit, std::move(message));
    if (answer.has_error()) co_return answer.error();
    co_return std::move(*records);
  }

  bool connected() const override { return connected_; }

  asio::awaitable<Result<nlohmann::json>> ask(nlohmann::json request, milliseconds silence, std::function<void(const nlohmann::json&)> on_message) override {
    auto answer = co_await call(std::move(request), std::chrono::duration_cast<seconds>(silence), std::move(on_message));
    if (answer.has_error()) co_return answer.error();
    if (!(*answer)->is_object()) co_return Error{ErrorKind::protocol, "the workspace service answered with something else than asked"};
    co_return Result<nlohmann::json>(boost::system::in_place_value, std::move(**answer));
  }

 private:
  using Answer = Result<std::shared_ptr<nlohmann::json>>;

  static nlohmann::json request_for(const char* what, const WorkspaceId& id) {
    return {{"do", what}, {"user", id.user}, {"workspace", id.name}};
  }

  asio::awaitable<Answer> call(nlohmann::json request, seconds silence, std::function<void(const nlohmann::json&)> message) {
    const auto patience = steady_clock::now() + kConnectPatience;
    retry_.cancel();  // dial now
    while (!connected_ && !closed_ && steady_clock::now() < patience) co_await changed_.wait(patience);
    if (!connected_) co_return Error{ErrorKind::unavailable, kNotRunning};
    const std::int64_t op = ++last_op_;
    request["op"] = op;
    const auto pending = std::make_shared<Pending>();
    pending->message = std::move(message);
    pending_[op] = pending;
    send(request);
    while (!pending->result && steady_clock::now() < pending->last_sign + silence) co_await pending->changed.wait(pending->last_sign + silence);
    pending_.erase(op);
    if (pending->result) co_return std::move(*pending->result);
    co_return Error{ErrorKind::timeout, "the workspace service has made no progress for " + std::to_string(silence.count()) +
                                            " s; try again, or tell your administrator (berth-keeper)"};
  }

  void send(const nlohmann::json& request) {
    output_.push_back(request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    output_changed_.notify();
  }

  static asio::awaitable<void> run(std::shared_ptr<KeeperClient> self) {
    milliseconds backoff = kFirstBackoff;
    while (!self->closed_) {
      boost::system::error_code error;
      self->socket_ = stream_protocol::socket(self->executor_);
      co_await self->socket_.async_connect(stream_protocol::endpoint(self->path_), asio::redirect_error(asio::use_awaitable, error));
      if (!error && !self->closed_) {
        backoff = kFirstBackoff;
        co_await self->converse(self);
      } else if (!self->said_missing_) {
        log_warn("keeper.unreachable", {{"socket", self->path_}, {"error", error.message()}});
        self->said_missing_ = true;
      }
      if (self->closed_) co_return;
      self->retry_.expires_after(backoff);
      backoff = std::min(backoff * 2, kLastBackoff);
      co_await self->retry_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  asio::awaitable<void> converse(std::shared_ptr<KeeperClient> self) {
    connected_ = true;
    said_missing_ = false;
    output_.clear();
    const std::uint64_t connection = ++connection_;
    log_info("keeper.connected", {{"socket", path_}});
    send({{"op", 0}, {"do", "watch"}});
    asio::co_spawn(executor_, write(self, connection), asio::detached);
    changed_.notify();
    if (events_.connected) events_.connected();
    std::string buffer;
    boost::system::error_code error;
    for (;;) {
      auto into = asio::dynamic_buffer(buffer, kKeeperLineLimit);
      const std::size_t size = co_await asio::async_read_until(socket_, into, '\n', asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      take(std::string_view(buffer).substr(0, size - 1));
      buffer.erase(0, size);
    }
    connected_ = false;
    boost::system::error_code ignored;
    socket_.close(ignored);
    output_changed_.notify();
    const auto lost = std::move(pending_);
    pending_.clear();
    for (const auto& [op, pending] : lost) {
      pending->result = Error{ErrorKind::closed, "the workspace service went away; try again"};
      pending->changed.notify();
    }
    if (!closed_) log_warn("keeper.lost", {{"error", error.message()}, {"requests", lost.size()}});
  }

  static asio::awaitable<void> write(std::shared_ptr<KeeperClient> self, std::uint64_t connection) {
    while (self->connected_ && self->connection_ == connection) {
      if (self->output_.empty()) {
        co_await self->output_changed_.wait();
        continue;
      }
      const std::string line = std::move(self->output_.front());
      self->output_.pop_front();
      boost::system::error_code error;
      co_await asio::async_write(self->socket_, asio::buffer(line), asio::redirect_error(asio::use_awaitable, error));
      if (error) break;  // the reader notices too
    }
  }

  void take(std::string_view line) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) return;
    if (json.contains("event")) {
      const auto item = json.find("item");
      if (item == json.end()) return;
      if (const auto record = parse_record(*item); record && events_.ended) events_.ended(*record);
      return;
    }
    const auto op = json.find("op");
    if (op == json.end() || !op->is_number_integer()) return;
    const auto found = pending_.find(op->get<std::int64_t>());
    if (found == pending_.end()) return;
    const auto pending = found->second;
    pending->last_sign = steady_clock::now();
    if (const auto ok = json.find("ok"); ok != json.end()) {
      pending->result = std::make_shared<nlohmann::json>(*ok);
    } else if (const auto error = json.find("error"); error != json.end()) {
      pending->result = parse_error(*error);
    } else if (pending->message) {
      pending->message(json);
    }
    pending->changed.notify();
  }

  asio::any_io_executor executor_;
  const std::string path_;
  KeeperEvents events_;
  stream_protocol::socket socket_;
  asio::steady_timer retry_;
  std::deque<std::string> output_;
  Changes changed_, output_changed_;
  std::map<std::int64_t, std::shared_ptr<Pending>> pending_;
  std::int64_t last_op_ = 0;
  std::uint64_t connection_ = 0;
  std::atomic<bool> connected_ = false;  // written on our executor only
  bool closed_ = false, said_missing_ = false;
};

// Its coroutines share the client, so the owner's handle is a thin one.
class KeeperClientHandle final : public KeeperLink {
 public:
  explicit KeeperClientHandle(std::shared_ptr<KeeperClient> client) : client_(std::move(client)) {}
  void start(KeeperEvents events) override { client_->start(std::move(events)); }
  void close() override { client_->close(); }
  bool connected() const override { return client_->connected(); }
  asio::awaitable<Result<KeeperRecord>> ensure(WorkspaceId id, std::string image, EnsureEvents events) override {
    return client_->ensure(std::move(id), std::move(image), std::move(events));
  }
  asio::awaitable<Result<void>> stop(WorkspaceId id) override { return client_->stop(std::move(id)); }
  asio::awaitable<Result<void>> remove(WorkspaceId id, bool with_home) override { return client_->remove(std::move(id), with_home); }
  asio::awaitable<Result<std::vector<KeeperRecord>>> list() override { return client_->list(); }
  asio::awaitable<Result<nlohmann::json>> ask(nlohmann::json request, milliseconds silence, std::function<void(const nlohmann::json&)> on_message) override {
    return client_->ask(std::move(request), silence, std::move(on_message));
  }

 private:
  std::shared_ptr<KeeperClient> client_;
};

}  // namespace

asio::awaitable<Result<nlohmann::json>> KeeperLink::ask(nlohmann::json, milliseconds, std::function<void(const nlohmann::json&)>) {
  co_return Error{ErrorKind::unavailable, "this link to the workspace service knows no environments"};
}

std::unique_ptr<KeeperLink> make_keeper_link(asio::any_io_executor executor, std::string socket_path) {
  return std::make_unique<KeeperClientHandle>(std::make_shared<KeeperClient>(std::move(executor), std::move(socket_path)));
}

}  // namespace berth::workspaces
