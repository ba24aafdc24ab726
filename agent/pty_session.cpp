#include "agent/pty_session.hpp"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "tunnels/wire.hpp"

namespace berth::agent {
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kNotKept = 256 * 1024;  // of output, where no viewer can come later
constexpr milliseconds kRedraw{100};          // long enough for a program to ask for its size between two changes
constexpr milliseconds kTitlePause{200};      // a program may change it with every byte
// One for all: the loop has one thread, and what is read is used up before anything else runs.
std::array<char, 16 * 1024> buffer;

}  // namespace

json describe_exit(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    std::string signal = name ? name : "RTMIN+" + std::to_string(WTERMSIG(status) - SIGRTMIN);
    return {{"signal", signal}, {"core", static_cast<bool>(WCOREDUMP(status))}};
  }
  return {{"code", WEXITSTATUS(status)}};
}

PtySession::PtySession(Loop& loop, About about, FileDescriptor master, std::function<void()> grown, std::function<void()> gone)
    : loop_(loop), about_(std::move(about)), grown_(std::move(grown)), gone_(std::move(gone)),
      master_(loop, std::move(master), [this](std::uint32_t events) { on_master(events); }) {}

PtySession::~PtySession() {
  for (auto timer : {keep_timer_, redraw_timer_, title_timer_}) loop_.cancel(timer);
}

bool PtySession::has_viewer(std::uint64_t connection_id, std::uint64_t op) const {
  return std::any_of(viewers_.begin(), viewers_.end(), [&](const Viewer& viewer) { return viewer.connection_id == connection_id && viewer.reply.op == op; });
}

void PtySession::add_viewer(Viewing viewing) {
  auto place = viewers_.emplace(viewers_.end(), loop_, std::move(viewing));
  place->input.on_ready([this, place](std::uint32_t events) { on_viewer_input(place, events); });
  place->output.on_ready([this, place](std::uint32_t events) { on_viewer_output(place, events); });
  detached_since_.reset();
  loop_.cancel(std::exchange(keep_timer_, 0));
  if (exit_) place->reply.event("exit", *exit_);
  (void)send_output(*place);  // a broken pipe is noticed by its watch
  settle();
}

void PtySession::drop_viewers(const std::string& reason) {
  for (auto viewer = viewers_.begin(); viewer != viewers_.end();) {
    if (!exit_) viewer->reply.event("detached", {{"reason", reason}});
    viewer = viewers_.erase(viewer);
  }
}

void PtySession::resize(const WindowSize& size, const Reply* by) {
  loop_.cancel(std::exchange(redraw_timer_, 0));
  const bool other = size.columns != about_.size.columns || size.rows != about_.size.rows;
  about_.size = size;
  set_window(size);
  if (other) tell_viewers("size", {{"columns", size.columns}, {"rows", size.rows}}, by);
}

void PtySession::set_window(const WindowSize& size) {
  winsize window{size.rows, size.columns, size.width_pixels, size.height_pixels};
  if (master_.open()) ::ioctl(master_.fd(), TIOCSWINSZ, &window);
}

void PtySession::provoke_redraw() {
  if (!state_.alternate_screen() || redraw_timer_) return;
  WindowSize odd = about_.size;
  odd.rows = static_cast<std::uint16_t>(odd.rows > 1 ? odd.rows - 1 : 2);
  set_window(odd);
  redraw_timer_ = loop_.after(kRedraw, [this] {
    redraw_timer_ = 0;
    set_window(about_.size);
  });
}

void PtySession::hang_up() {
  if (exit_ && viewers_.empty()) return tell_gone();  // only what it wrote was kept
  if (!master_.open()) return;
  master_.close();
  output_over_ = true;
  input_.clear();
  loop_.cancel(std::exchange(keep_timer_, 0));
  settle();
}

void PtySession::process_ended(int wait_status) {
  exit_ = describe_exit(wait_status);
  read_last_output();
  master_.close();
  output_over_ = true;
  for (const auto& reply : std::exchange(owed_, {})) reply.event("exit", *exit_);
  for (const auto& viewer : viewers_) viewer.reply.event("exit", *exit_);
  if (viewers_.empty() && !keep_timer_) return tell_gone();
  settle();
}

// What the program wrote before its end is in the kernel's hands: reading brings it over before it says "nothing more". A
// background process that holds the terminal open may write for ever.
void PtySession::read_last_output() {
  const std::uint64_t limit = output_.end() + kLastOutput;
  while (!output_over_ && master_.open() && output_.end() < limit && read_output()) {
  }
}

bool PtySession::read_output() {
  const ssize_t got = ::read(master_.fd(), buffer.data(), buffer.size());
  if (got > 0) {
    add_output({buffer.data(), static_cast<std::size_t>(got)});
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  output_over_ = true;  // EIO: nobody has it open any more
  return false;
}

void PtySession::add_output(std::string_view output) {
  output_.append(output);
  if (state_.feed(output) && !title_timer_) {
    title_timer_ = loop_.after(kTitlePause, [this] {
      title_timer_ = 0;
      tell_viewers("title", {{"title", tunnels::wire::encode_bytes(state_.title())}});
    });
  }
  output_.shrink_to(about_.keep.count() > 0 ? kMostKept : kNotKept);
  grown_();
}

// The fastest viewer sets the pace: one that has stopped reading (a closed laptop) does not stop the program for the others.
bool PtySession::may_read() const {
  if (!master_.open() || output_over_) return false;
  return viewers_.empty() || std::any_of(viewers_.begin(), viewers_.end(), [&](const Viewer& viewer) { return output_.end() - viewer.cursor <= kLead; });
}

void PtySession::on_master(std::uint32_t events) {
  if (events & EPOLLOUT) write_input();
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    for (int budget = 4; budget > 0 && may_read() && read_output(); --budget)
      for (auto& viewer : viewers_) (void)send_output(viewer);  // a broken pipe is noticed by its watch
  }
  settle();
}

void PtySession::write_input() {
  while (!input_.empty() && master_.open()) {
    const ssize_t taken = ::write(master_.fd(), input_.data(), input_.size());
    if (taken > 0) input_.erase(0, static_cast<std::size_t>(taken));
    else if (taken < 0 && errno == EAGAIN) return;
    else if (taken == 0 || errno != EINTR) input_.clear();
  }
}

void PtySession::on_viewer_output(ViewerAt viewer, std::uint32_t events) {
  if ((events & EPOLLERR) || !send_output(*viewer)) viewer_lost(viewer);
  settle();
}

void PtySession::on_viewer_input(ViewerAt viewer, std::uint32_t events) {
  bool lost = false;
  // What was typed right before the viewer left still counts, as far as the terminal takes it.
  for (int budget = (events & EPOLLHUP) ? 64 : 4; !lost && budget > 0 && input_.size() < kMostInput; --budget) {
    const ssize_t got = ::read(viewer->input.fd(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got > 0 && !viewer->watch_only && master_.open() && !output_over_) input_.append(buffer.data(), static_cast<std::size_t>(got));
    lost = got <= 0;
    write_input();
  }
  if (lost || (events & EPOLLHUP)) viewer_lost(viewer);
  settle();
}

// False when the pipe is broken.
bool PtySession::send_output(Viewer& viewer) {
  viewer.cursor = std::max(viewer.cursor, output_.begin());
  for (auto part = output_.from(viewer.cursor); !part.empty() && viewer.output.open(); part = output_.from(viewer.cursor)) {
    const ssize_t sent = ::write(viewer.output.fd(), part.data(), part.size());
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    viewer.cursor += static_cast<std::uint64_t>(sent);
  }
  return true;
}

void PtySession::viewer_lost(ViewerAt viewer) {
  const bool last = viewers_.size() == 1;
  // Of one that is not kept, the last viewer's last word is how it ended; that of any other, that it looks no more.
  if (!exit_ && last && (about_.keep.count() == 0 || !master_.open())) owed_.push_back(viewer->reply);
  else if (!exit_) viewer->reply.event("detached", {{"reason", "the connection was closed"}});
  viewers_.erase(viewer);
  if (viewers_.empty()) no_viewer_left();
}

void PtySession::no_viewer_left() {
  if (exit_) return tell_gone();
  if (about_.keep.count() == 0 || !master_.open()) return hang_up();
  detached_since_ = Clock::now();
  keep_timer_ = loop_.after(about_.keep, [this] {
    keep_timer_ = 0;
    if (exit_) tell_gone();
    else hang_up();
  });
}

// Not after the exit, which is the last word to each: some may still be reading what came before it.
void PtySession::tell_viewers(std::string_view type, const json& fields, const Reply* but) {
  if (exit_) return;
  for (const auto& viewer : viewers_) {
    const bool same = but && viewer.reply.op == but->op && viewer.reply.connection.lock() == but->connection.lock();
    if (!same) viewer.reply.event(type, fields);
  }
}

void PtySession::settle() {
  if (output_over_) input_.clear();
  for (auto viewer = viewers_.begin(); viewer != viewers_.end();) {
    auto here = viewer++;
    const bool shown = here->cursor >= output_.end();
    if (shown && exit_) {
      viewers_.erase(here);  // the end of the stream follows the last output
      if (viewers_.empty()) tell_gone();
      continue;
    }
    if (shown && output_over_) here->output.close();
    here->output.want(shown ? 0 : EPOLLOUT);
    here->input.want(input_.size() < kMostInput ? EPOLLIN : EPOLLRDHUP);  // the latter never comes; a hang-up always does
  }
  std::uint32_t wanted = may_read() ? EPOLLIN : 0;
  if (!input_.empty()) wanted |= EPOLLOUT;
  master_.want(wanted);
}

// Later: whoever holds us would destroy us under our own feet.
void PtySession::tell_gone() {
  if (std::exchange(gone_told_, true)) return;
  loop_.after(milliseconds(0), gone_);
}

}  // namespace berth::agent
