// libFuzzer on key revocation lists: tests/fuzz/run krl [SECONDS].
#include <cstdlib>

#include "auth/krl.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto list = berth::auth::parse_krl({reinterpret_cast<const char*>(data), size});
  if (!list) return 0;
  for (const auto& entry : *list) {
    if (entry.first > entry.last) std::abort();
  }
  return 0;
}
