// berth-keeper's Unix socket: who may connect, and lines in and out.
#pragma once
#include <boost/asio/local/stream_protocol.hpp>
#include <set>

#include "base/handles.hpp"
#include "keeper/service.hpp"

namespace berth::keeper {

class Server {
 public:
  // `socket` listens already. Peers other than `allowed` and root are turned away.
  Server(boost::asio::any_io_executor executor, FileDescriptor socket, Service& service, uid_t allowed);
  void start();
  // Accepts no more; connections stay until close().
  void stop_accepting();
  void close();

 private:
  struct Connection;
  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection);
  static boost::asio::awaitable<void> write(std::shared_ptr<Connection> connection);

  boost::asio::local::stream_protocol::acceptor acceptor_;
  Service& service_;
  const uid_t allowed_;
  std::set<std::shared_ptr<Connection>> connections_;
};

// Binds `path` (replacing what a killed keeper left), mode 0660 and owned by `account`, so that nobody else can even connect.
Result<FileDescriptor> listen_on(const std::string& path, Account account);

}  // namespace berth::keeper
