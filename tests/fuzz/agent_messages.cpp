// libFuzzer on the agent's message handler: scripts/fuzz agent_messages [seconds]
#include "tests/fuzz/agent_harness.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static berth::agent::fuzz::AgentHarness harness;
  harness.feed({reinterpret_cast<const char*>(data), size});
  return 0;
}
