// What a service tells systemd, and what systemd gives it, without libsystemd (two environment variables and one datagram each; a program that
// faces the network should not load a library with decompressors for that). Outside systemd all of it does nothing.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/handles.hpp"

namespace berth {

// Sends "NAME=VALUE" lines to $NOTIFY_SOCKET (a path, or "@name" for an abstract socket), as sd_notify(3) does. False when there is no
// such socket or it did not take the message; a service goes on either way. Never blocks.
bool notify(std::string_view state);

inline bool notify_ready() { return notify("READY=1"); }
inline bool notify_stopping() { return notify("STOPPING=1"); }
inline bool notify_watchdog() { return notify("WATCHDOG=1"); }
// One line for `systemctl status`; control characters are removed.
bool notify_status(std::string_view text);

// How often notify_watchdog() is due: half of WatchdogSec, when the unit has one and it is meant for this process.
std::optional<std::chrono::microseconds> watchdog_interval();

// The listening sockets of socket activation (sd_listen_fds(3)), in the unit's order, close-on-exec; empty when there are none. The
// variables are removed, so children don't take them for theirs: call it once, from main, before threads start.
std::vector<FileDescriptor> take_listen_sockets();

}  // namespace berth
