#include "tunnels/plumbing.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>

namespace berth::tunnels {
namespace {

// The two ends of a pipe: ours is non-blocking and stays here, theirs goes to the agent. Each has an open file of its own.
struct Pipe {
  FileDescriptor ours, theirs;
};

enum class Direction { to_workspace, from_workspace };

// Room for four times the kernel's default lets a relay move more in each call; what carries little takes less of the quota that
// the kernel gives to all of berthd (fs.pipe-user-pages-soft). Refused over it: fine.
constexpr int kBulk = 256 * 1024, kWords = 16 * 1024, kKeys = 4 * 1024;

Result<Pipe> make_pipe(Direction direction, int bytes) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_error("making a pipe", errno);
  FileDescriptor read_end(ends[0]), write_end(ends[1]);
  // Programs open /dev/stdin and /dev/stderr by name, and the workspace's user is not ours. Nobody finds an unnamed pipe who does not hold it.
  ::fchmod(read_end.get(), 0666);
  ::fcntl(write_end.get(), F_SETPIPE_SZ, bytes);
  Pipe made = direction == Direction::to_workspace ? Pipe{std::move(write_end), std::move(read_end)} : Pipe{std::move(read_end), std::move(write_end)};
  if (::fcntl(made.ours.get(), F_SETFL, O_NONBLOCK) < 0) return errno_error("making a pipe", errno);
  return made;
}

}  // namespace

Result<Plumbing> make_plumbing(bool terminal) {
  constexpr int kTerminal[] = {kKeys, kWords}, kProcess[] = {kBulk, kBulk, kWords};
  Plumbing plumbing;
  for (const int bytes : terminal ? std::span<const int>(kTerminal) : std::span<const int>(kProcess)) {
    auto made = make_pipe(plumbing.ours.empty() ? Direction::to_workspace : Direction::from_workspace, bytes);
    if (!made) return made.error();
    plumbing.ours.push_back(std::move(made->ours));
    plumbing.theirs.push_back(std::move(made->theirs));
  }
  return plumbing;
}

}  // namespace berth::tunnels
