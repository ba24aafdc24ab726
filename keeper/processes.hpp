// What /proc says of a process.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::keeper {

// Start time in clock ticks since boot: with the pid it names one process for good. Error{not_found} when it is gone or a zombie.
Result<std::uint64_t> start_time_of(pid_t pid);
Result<uid_t> uid_of(pid_t pid);
// Whether the process's user and group ids are mapped just as {0..65535} -> {base..}. Podman's own answer is not enough:
// a wrong request makes a container whose root is the host's.
Result<void> check_mapping(pid_t pid, uid_t base);
// Readable when the process ends.
Result<FileDescriptor> open_process(pid_t pid);

}  // namespace berth::keeper
