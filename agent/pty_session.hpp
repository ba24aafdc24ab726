// A process on a pseudo-terminal, what it wrote last, and whoever looks at it: none, one or several viewers, each two pipes that
// berthd made. The agent alone holds the terminal, so it goes on without any viewer for as long as it is kept.
#pragma once
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "agent/loop.hpp"
#include "agent/output_state.hpp"
#include "agent/request.hpp"
#include "agent/scrollback.hpp"
#include "agent/terminal.hpp"
#include "agent/watched.hpp"
#include "base/handles.hpp"

namespace berth::agent {

class PtySession {
 public:
  static constexpr std::size_t kMostKept = 4 * 1024 * 1024;  // of output
  static constexpr std::size_t kLeastKept = 128 * 1024;      // also when all terminals together are over their limit
  using Clock = std::chrono::system_clock;

  struct About {
    std::string id;
    std::string command;  // empty: a login shell
    pid_t pid = 0;
    WindowSize size;
    std::chrono::seconds keep{};  // without a viewer; 0: it is hung up with the last one
  };
  struct Viewing {
    Reply reply;
    std::uint64_t connection_id = 0;
    FileDescriptor input, output;  // what is typed is read from the one, what the terminal shows is written to the other
    bool watch_only = false;
    std::uint64_t from = 0;  // offset in the output
  };

  // `gone` is called once, when there is nothing more to see or to end. `grown` after output was added.
  PtySession(Loop& loop, About about, FileDescriptor master, std::function<void()> grown, std::function<void()> gone);
  ~PtySession();
  PtySession(const PtySession&) = delete;

  void add_viewer(Viewing viewing);
  // Every viewer that is there is told `detached`, if it does not know of the end already, and dropped.
  void drop_viewers(const std::string& reason);
  void resize(const WindowSize& size, const Reply* by);
  // Makes a full-screen program draw itself again, by a size that changes and changes back.
  void provoke_redraw();
  // Closes the terminal: SIGHUP to the process.
  void hang_up();
  void process_ended(int wait_status);
  void shrink_output(std::size_t most) { output_.shrink_to(std::max(most, kLeastKept)); }

  const About& about() const { return about_; }
  const Scrollback& output() const { return output_; }
  const OutputState& state() const { return state_; }
  Clock::time_point started() const { return started_; }
  std::optional<Clock::time_point> detached_since() const { return detached_since_; }
  std::size_t viewers() const { return viewers_.size(); }
  bool ended() const { return exit_.has_value(); }
  bool attachable() const { return !gone_told_ && (master_.open() || ended()); }
  bool has_viewer(std::uint64_t connection_id, std::uint64_t op) const;

 private:
  static constexpr std::size_t kLead = 64 * 1024;      // what the fastest viewer may be behind before the program waits
  static constexpr std::size_t kMostInput = 16 * 1024;  // typed, not yet taken by the terminal
  static constexpr std::size_t kLastOutput = 256 * 1024;
  struct Viewer {
    Viewer(Loop& loop, Viewing viewing)
        : reply(std::move(viewing.reply)), connection_id(viewing.connection_id), watch_only(viewing.watch_only), cursor(viewing.from),
          input(loop, std::move(viewing.input)), output(loop, std::move(viewing.output)) {}
    Reply reply;
    std::uint64_t connection_id;
    bool watch_only;
    std::uint64_t cursor;  // the next byte to send
    Watched input, output;
  };
  using ViewerAt = std::list<Viewer>::iterator;

  void on_master(std::uint32_t events);
  void on_viewer_input(ViewerAt viewer, std::uint32_t events);
  void on_viewer_output(ViewerAt viewer, std::uint32_t events);
  bool read_output();  // false: nothing more now, or for ever
  void read_last_output();
  void write_input();
  bool send_output(Viewer& viewer);
  void add_output(std::string_view output);
  bool may_read() const;
  void settle();  // what to wait for now
  void viewer_lost(ViewerAt viewer);
  void no_viewer_left();
  void tell_viewers(std::string_view type, const nlohmann::json& fields, const Reply* but = nullptr);
  void set_window(const WindowSize& size);
  void tell_gone();

  Loop& loop_;
  About about_;
  std::function<void()> grown_, gone_;
  Watched master_;
  const Clock::time_point started_ = Clock::now();
  Scrollback output_;
  OutputState state_;
  std::string input_;
  std::list<Viewer> viewers_;
  std::vector<Reply> owed_;  // viewers of one that is not kept, gone before its exit
  std::optional<Clock::time_point> detached_since_;
  std::optional<nlohmann::json> exit_;
  bool output_over_ = false, gone_told_ = false;
  Loop::TimerId keep_timer_ = 0, redraw_timer_ = 0, title_timer_ = 0;
};

// How a process ended, in the words of the protocol: {"code"} or {"signal", "core"}.
nlohmann::json describe_exit(int wait_status);

}  // namespace berth::agent
