#include "keeper/processes.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "keeper/settings.hpp"

namespace berth::keeper {
namespace {

Result<std::string> read_proc(pid_t pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  std::stringstream text;
  if (file) text << file.rdbuf();
  if (!file || text.str().empty()) return Error{ErrorKind::not_found, "process " + std::to_string(pid) + " is gone"};
  return text.str();
}

}  // namespace

Result<std::uint64_t> start_time_of(pid_t pid) {
  const auto stat = read_proc(pid, "stat");
  if (stat.has_error()) return stat.error();
  // The name, in parentheses, may hold anything: count fields from its end. State is field 3, start time field 22.
  std::istringstream fields(stat->substr(stat->rfind(')') + 1));
  std::string field, state;
  fields >> state;
  for (int i = 4; i < 22; ++i) fields >> field;
  std::uint64_t time = 0;
  if (!(fields >> time) || state == "Z" || state == "X") return Error{ErrorKind::not_found, "process " + std::to_string(pid) + " is gone"};
  return time;
}

Result<uid_t> uid_of(pid_t pid) {
  const auto status = read_proc(pid, "status");
  if (status.has_error()) return status.error();
  const std::size_t at = status->find("\nUid:");
  if (at == std::string::npos) return Error{ErrorKind::internal, "no Uid in /proc"};
  return static_cast<uid_t>(std::strtoul(status->c_str() + at + 5, nullptr, 10));
}

Result<void> check_mapping(pid_t pid, uid_t base) {
  for (const char* name : {"uid_map", "gid_map"}) {
    const auto map = read_proc(pid, name);
    if (map.has_error()) return map.error();
    std::istringstream fields(*map);
    std::uint64_t inside = 1, outside = 0, size = 0, more = 0;
    const bool read = static_cast<bool>(fields >> inside >> outside >> size);
    if (!read || inside != 0 || outside != base || size != kRangeSize || (fields >> more)) {
      return Error{ErrorKind::internal, "the container engine gave the workspace the wrong user ids, so it was ended; ask your administrator to look at berth-keeper's log"};
    }
  }
  return {};
}

Result<FileDescriptor> open_process(pid_t pid) {
  FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!handle) return errno_error("process " + std::to_string(pid), errno);
  return handle;
}

}  // namespace berth::keeper
