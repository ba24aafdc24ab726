// The sockets that berthd listens on.
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/handles.hpp"
#include "base/lane.hpp"
#include "config/settings.hpp"

namespace berth::server {

using Acceptor = boost::asio::ip::tcp::acceptor;

// One acceptor for each lane on the same address: those of `inherited` (listening sockets of another berthd) that are bound to it, which then leave that
// list; acceptor i belongs to lane i modulo their number. Where there are none they are made. Bound first without SO_REUSEPORT: with it, a second berthd of the same user would
// silently share the port instead of failing with "Address already in use". [::] is IPv6 only; on a machine without IPv6 it is skipped with
// a warning, and the answer is empty.
Result<std::vector<Acceptor>> listen_on_lanes(Lanes& lanes, const ListenAddress& address, std::vector<FileDescriptor>& inherited);

// The same for the admin socket.
Result<boost::asio::local::stream_protocol::acceptor> admin_socket(Lane& lane, const std::filesystem::path& path, std::vector<FileDescriptor>& inherited);

// Gives the admin socket to a group, of which berthd's user must be a member. Nothing to do for an empty name.
Result<void> give_to_group(const std::filesystem::path& path, const std::string& group);

}  // namespace berth::server
