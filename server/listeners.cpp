#include "server/listeners.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/v6_only.hpp>
#include <cstring>

#include "base/log.hpp"
#include "web/server.hpp"

namespace berth::server {
namespace asio = boost::asio;
using asio::ip::tcp;
namespace {

Result<void> check_free(const ListenAddress& address) {
  boost::system::error_code error;
  const tcp::endpoint endpoint(asio::ip::make_address(address.host, error), address.port);
  asio::io_context io;
  tcp::acceptor probe(io);
  if (!error) probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.protocol() == tcp::v6()) probe.set_option(asio::ip::v6_only(true), error);
  if (!error) probe.bind(endpoint, error);
  const bool without_ipv6 = error == asio::error::address_family_not_supported || error == boost::system::errc::address_not_available;
  if (without_ipv6 && address.host == "::") return Error{ErrorKind::not_found, "this machine has no IPv6"};
  if (error) return Error{ErrorKind::unavailable, "cannot listen on " + format_listen_address(address) + ": " + error.message()};
  return {};
}

}  // namespace

namespace {

// Those of `inherited` whose address `matches` leave it.
template <class Matches>
std::vector<FileDescriptor> take_matching(std::vector<FileDescriptor>& inherited, Matches matches) {
  std::vector<FileDescriptor> taken;
  for (FileDescriptor& socket : inherited) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0 && matches(bound, size)) taken.push_back(std::move(socket));
  }
  std::erase_if(inherited, [](const FileDescriptor& socket) { return !socket; });
  return taken;
}

// Onto the lanes in turn. Lanes that we have more get sockets of their own, which share the port.
Result<std::vector<Acceptor>> adopt(Lanes& lanes, const ListenAddress& address, const tcp& protocol, std::vector<FileDescriptor> sockets) {
  std::vector<Acceptor> acceptors;
  for (FileDescriptor& socket : sockets) {
    boost::system::error_code error;
    Acceptor acceptor(lanes[acceptors.size() % lanes.size()]->io);
    acceptor.assign(protocol, socket.get(), error);
    if (error) return Error{ErrorKind::internal, "the socket of " + format_listen_address(address) + " cannot be taken over: " + error.message()};
    (void)socket.release();
    acceptors.push_back(std::move(acceptor));
  }
  while (acceptors.size() < lanes.size()) {
    Result<Acceptor> acceptor = web::listen_tcp(*lanes[acceptors.size()], address.host, address.port);
    if (!acceptor) return acceptor.error();
    acceptors.push_back(std::move(*acceptor));
  }
  return acceptors;
}

}  // namespace

Result<std::vector<Acceptor>> listen_on_lanes(Lanes& lanes, const ListenAddress& address, std::vector<FileDescriptor>& inherited) {
  boost::system::error_code error;
  const tcp::endpoint endpoint(asio::ip::make_address(address.host, error), address.port);
  if (!error) {
    std::vector<FileDescriptor> there = take_matching(
        inherited, [&](const sockaddr_storage& bound, socklen_t size) { return size == endpoint.size() && std::memcmp(&bound, endpoint.data(), size) == 0; });
    if (!there.empty()) return adopt(lanes, address, endpoint.protocol(), std::move(there));
  }
  std::vector<Acceptor> acceptors;
  if (Result<void> free = check_free(address); !free) {
    if (free.error().kind != ErrorKind::not_found) return free.error();
    log_warn("listen.skipped", {{"address", format_listen_address(address)}, {"why", free.error().message}});
    return acceptors;
  }
  std::uint16_t port = address.port;
  for (const auto& lane : lanes) {
    Result<Acceptor> acceptor = web::listen_tcp(*lane, address.host, port);
    if (!acceptor) return acceptor.error();
    port = acceptor->local_endpoint().port();  // port 0: the first lane's choice holds for all
    acceptors.push_back(std::move(*acceptor));
  }
  return acceptors;
}

Result<asio::local::stream_protocol::acceptor> admin_socket(Lane& lane, const std::filesystem::path& path, std::vector<FileDescriptor>& inherited) {
  const asio::local::stream_protocol::endpoint endpoint(path.string());
  std::vector<FileDescriptor> there = take_matching(inherited, [&](const sockaddr_storage& bound, socklen_t) {
    return bound.ss_family == AF_UNIX && reinterpret_cast<const sockaddr_un&>(bound).sun_path == path.string();
  });
  // Somebody may have removed the file: then nobody would find it.
  if (there.empty() || !std::filesystem::is_socket(path)) return web::listen_unix(lane, path);
  return asio::local::stream_protocol::acceptor(lane.io, endpoint.protocol(), there.front().release());
}

Result<void> give_to_group(const std::filesystem::path& path, const std::string& group) {
  if (group.empty()) return {};
  const ::group* entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return Error{ErrorKind::invalid, "admin.socket_group: there is no group '" + group + "' on this machine"};
  if (::lchown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) == 0) return {};
  return Error{ErrorKind::denied, "admin.socket_group: berthd cannot give " + path.string() + " to '" + group + "': its user must be a member"};
}

}  // namespace berth::server
