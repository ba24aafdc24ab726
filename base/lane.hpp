// A lane: one thread, one io_context. A connection lives its whole life on one lane; lanes share nothing mutable but the
// store. What must reach all lanes is posted to each.
#pragma once
#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

namespace berth {

struct Lane {
  explicit Lane(std::size_t lane_index) : index(lane_index), io(1) {}
  const std::size_t index;
  boost::asio::io_context io;
};

using Lanes = std::vector<std::unique_ptr<Lane>>;

}  // namespace berth
