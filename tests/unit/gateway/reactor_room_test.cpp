#include "server/gateway/reactor_room.hpp"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/eventfd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <filesystem>
#include <vector>

#include "base/handles.hpp"

namespace berth::server {
namespace {
namespace asio = boost::asio;

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

// Bytes that the allocator gives out while `count` descriptors are made known to `io`.
std::size_t allocated_for(asio::io_context& io, std::size_t count) {
  std::vector<asio::posix::stream_descriptor> known;
  known.reserve(count);
  std::vector<FileDescriptor> events;
  for (std::size_t i = 0; i < count; ++i) events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const std::size_t before = ::mallinfo2().uordblks;
  for (FileDescriptor& event : events) known.emplace_back(io, event.release());
  return ::mallinfo2().uordblks - before;
}

TEST(ReactorRoomTest, DescriptorsWithinTheRoomTakeNoMoreMemory) {
  asio::io_context io, without;
  make_room_in_reactor(io, 1);  // the first makes the reactor, which has descriptors of its own
  const std::ptrdiff_t open = open_descriptors();
  make_room_in_reactor(io, 100);
  EXPECT_EQ(open_descriptors(), open) << "the room's own descriptors are closed";
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their allocators tell mallinfo2() nothing
  (void)allocated_for(without, 1);
  EXPECT_GT(allocated_for(without, 100), 5000u);
  EXPECT_LT(allocated_for(io, 100), 1000u);
#endif
}

}  // namespace
}  // namespace berth::server
