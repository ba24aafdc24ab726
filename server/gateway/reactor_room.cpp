#include "server/gateway/reactor_room.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <vector>

#include "base/handles.hpp"

namespace berth::server {
namespace asio = boost::asio;

void make_room_in_reactor(asio::io_context& io, std::size_t count) {
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::vector<asio::posix::stream_descriptor> together;
  together.reserve(count);
  while (event && together.size() < count) {
    FileDescriptor another(::fcntl(event.get(), F_DUPFD_CLOEXEC, 0));
    if (!another) break;
    boost::system::error_code error;
    asio::posix::stream_descriptor known(io);
    known.assign(another.get(), error);
    if (error) break;
    (void)another.release();
    together.push_back(std::move(known));
  }
}

}  // namespace berth::server
