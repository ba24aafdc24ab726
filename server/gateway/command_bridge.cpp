#include "server/gateway/command_bridge.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kOutputCap = 64 * 1024;
constexpr std::size_t kInputCap = 16 * 1024;  // read ahead of the command
constexpr std::chrono::minutes kPatience{5};  // with a person who was asked, or a pipe that says nothing

}  // namespace

CommandBridge::CommandBridge(asio::any_io_executor executor, ServeApi serve_api)
    : executor_(executor),
      serve_api_(std::move(serve_api)),
      output_changed_(executor, asio::steady_timer::time_point::max()),
      input_changed_(executor, asio::steady_timer::time_point::max()) {}

void CommandBridge::wake() {
  asio::post(executor_, [self = shared_from_this()] {
    self->output_changed_.cancel();
    self->input_changed_.cancel();
  });
}

bool CommandBridge::write(std::string_view text, bool as_stderr) {
  if (text.empty()) return true;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return given_up_ || output_bytes_ < kOutputCap; });
  if (given_up_) return false;
  output_.push_back({std::string(text), as_stderr});
  output_bytes_ += text.size();
  lock.unlock();
  wake();
  return true;
}

std::string CommandBridge::read() {
  std::unique_lock lock(mutex_);
  reading_ = true;
  wake();
  changed_.wait_for(lock, kPatience, [this] { return given_up_ || input_ended_ || !input_.empty(); });
  reading_ = false;
  if (given_up_) return {};
  std::string bytes = std::exchange(input_, {});
  lock.unlock();
  wake();  // there is room again
  return bytes;
}

Result<FileDescriptor> CommandBridge::connect() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno_error("no socket for the command", errno);
  FileDescriptor ours(pair[0]), theirs(pair[1]);
  FileDescriptor to_cut(::fcntl(ours.get(), F_DUPFD_CLOEXEC, 0));
  if (!to_cut) return errno_error("no socket for the command", errno);
  {
    const std::lock_guard lock(mutex_);
    if (given_up_) return Error{ErrorKind::closed, "the client has left"};
    api_ = std::move(to_cut);
  }
  asio::post(executor_, [self = shared_from_this(), socket = std::make_shared<FileDescriptor>(std::move(theirs))] {
    self->serve_api_(std::move(*socket));
  });
  return ours;
}

void CommandBridge::finish(int exit_code) {
  {
    const std::lock_guard lock(mutex_);
    exit_code_ = exit_code;
    api_.reset();
  }
  wake();
}

asio::awaitable<std::optional<CommandBridge::Output>> CommandBridge::next_output() {
  for (;;) {
    std::optional<Output> next;
    bool ended = false;
    {
      const std::lock_guard lock(mutex_);
      ended = given_up_ || (output_.empty() && exit_code_);
      if (!ended && !output_.empty()) {
        next = std::move(output_.front());
        output_.pop_front();
        output_bytes_ -= next->text.size();
      }
    }
    if (next) changed_.notify_all();
    if (next || ended) co_return next;
    co_await output_changed_.async_wait(kTuple);
  }
}

asio::awaitable<bool> CommandBridge::input_wanted(bool ahead) {
  for (;;) {
    bool wanted = false, ended = false;
    {
      const std::lock_guard lock(mutex_);
      ended = given_up_ || input_ended_ || exit_code_;
      wanted = ahead ? input_.size() < kInputCap : reading_ && input_.empty();
    }
    if (ended) co_return false;
    if (wanted) co_return true;
    co_await input_changed_.async_wait(kTuple);
  }
}

void CommandBridge::give_input(std::string_view bytes) {
  {
    const std::lock_guard lock(mutex_);
    input_ += bytes;
  }
  changed_.notify_all();
}

void CommandBridge::end_input() {
  {
    const std::lock_guard lock(mutex_);
    input_ended_ = true;
  }
  changed_.notify_all();
}

void CommandBridge::give_up() {
  {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    if (api_) ::shutdown(api_.get(), SHUT_RDWR);
  }
  changed_.notify_all();
  wake();
}

bool CommandBridge::given_up() const {
  const std::lock_guard lock(mutex_);
  return given_up_;
}

std::optional<int> CommandBridge::exit_code() const {
  const std::lock_guard lock(mutex_);
  return exit_code_;
}

}  // namespace berth::server
