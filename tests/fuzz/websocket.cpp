// libFuzzer on the WebSocket handshake and frames: tests/fuzz/run websocket [SECONDS]. Messages are the same however their bytes arrive.
#include <cstdlib>
#include <vector>

#include "web/websocket.hpp"

using namespace berth::web;

namespace {

constexpr std::size_t kMost = 1000;

struct Read {
  std::vector<std::pair<Opcode, std::string>> messages;
  std::uint16_t failed = 0;
  bool operator==(const Read&) const = default;
};

Read read(std::string_view data, std::size_t step) {
  WebSocketReader reader(kMost);
  Read all;
  for (std::size_t at = 0; at < data.size() && reader.failed() == 0; at += step) {
    reader.add(data.substr(at, step));
    while (auto message = reader.next()) {
      if (message->data.size() > kMost) std::abort();
      all.messages.emplace_back(message->opcode, std::move(message->data));
    }
  }
  all.failed = reader.failed();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  const Read whole = read(data, data.size() + 1);
  for (const std::size_t step : {1, 3, 7})
    if (!(read(data, step) == whole)) std::abort();
  if (const auto accept = websocket_accept(data); accept && accept->size() != 28) std::abort();
  return 0;
}
