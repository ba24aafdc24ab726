// The doors of berthd: made anew, or taken from the berthd that it replaces.
#include <fcntl.h>

#include "base/log.hpp"
#include "base/notify.hpp"
#include "server/daemon_impl.hpp"
#include "server/gateway/spawn.hpp"

namespace berth::server {

Result<void> Daemon::listen() {
  for (const ListenAddress& address : settings_.ssh.listen) {
    if (Result<void> opened = listen_ssh(address); !opened) return opened;
  }
  if (ssh_acceptors_.empty()) return Error{ErrorKind::unavailable, "ssh.listen names only IPv6 addresses, and this machine has no IPv6"};
  for (const ListenAddress& address : settings_.web.listen) {
    ListenAddress other = address;
    if (address.port != 0) other.port = static_cast<std::uint16_t>(address.port + settings_.web.workspace_port_offset);
    if (Result<void> opened = listen_web(address, web::Face::portal); !opened) return opened;
    if (Result<void> opened = listen_web(other, web::Face::workspaces); !opened) return opened;
  }
  if (Result<void> opened = listen_admin(); !opened) return opened;
  inherited_.clear();  // what is left is of addresses that the settings name no more
  return {};
}

Result<std::vector<Acceptor>> Daemon::listen_at(const ListenAddress& address) {
  Result<std::vector<Acceptor>> acceptors = listen_on_lanes(lanes_, address, inherited_);
  if (!acceptors) return acceptors;
  for (Acceptor& acceptor : *acceptors) remember_offer(acceptor.native_handle());
  return acceptors;
}

Result<void> Daemon::listen_ssh(const ListenAddress& address) {
  Result<std::vector<Acceptor>> acceptors = listen_at(address);
  if (!acceptors) return acceptors.error();
  for (std::size_t i = 0; i < acceptors->size(); ++i) {
    ServerLane& lane = *server_lanes_[i % lanes_.size()];
    auto acceptor = std::make_shared<Acceptor>(std::move((*acceptors)[i]));
    ssh_acceptors_.push_back(acceptor);
    spawn_logged(lane.lane.io.get_executor(), gateway_->accept_loop(lane, acceptor), "ssh.accept");
  }
  if (!acceptors->empty()) log_info("ssh.listening", {{"address", format_listen_address(address)}});
  return {};
}

Result<void> Daemon::listen_web(const ListenAddress& address, web::Face face) {
  Result<std::vector<Acceptor>> acceptors = listen_at(address);
  if (!acceptors) return acceptors.error();
  for (std::size_t i = 0; i < acceptors->size(); ++i) web_->listen(*lanes_[i % lanes_.size()], std::move((*acceptors)[i]), face);
  if (!acceptors->empty()) log_info("web.listening", {{"address", format_listen_address(address)}, {"face", face == web::Face::portal ? "portal" : "workspaces"}});
  return {};
}

Result<void> Daemon::listen_admin() {
  auto admin = admin_socket(*lanes_.front(), settings_.admin.socket, inherited_);
  if (!admin) return admin.error();
  if (Result<void> given = give_to_group(settings_.admin.socket, settings_.admin.socket_group); !given) return given;
  remember_offer(admin->native_handle());
  web_->listen_admin(*lanes_.front(), std::move(*admin));
  return {};
}

// A copy, since the lanes own the sockets. Without one (no descriptors left) the next berthd makes its own.
void Daemon::remember_offer(int listening) {
  FileDescriptor copy(::fcntl(listening, F_DUPFD_CLOEXEC, 0));
  if (copy) offered_.push_back(std::move(copy));
}

Offer Daemon::offer() const {
  Offer offer;
  for (const FileDescriptor& socket : offered_) {
    FileDescriptor copy(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
    if (copy) offer.sockets.push_back(std::move(copy));
  }
  if (const char* path = std::getenv("NOTIFY_SOCKET")) offer.notify_socket = path;
  if (const auto interval = watchdog_interval()) offer.watchdog_us = interval->count() * 2;  // it answers half of what the unit says
  return offer;
}

}  // namespace berth::server
