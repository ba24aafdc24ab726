// libFuzzer on lines of authorized_keys: tests/fuzz/run key_options [SECONDS]. What is accepted has a normal form that means the same.
#include <cstdlib>

#include "auth/key_options.hpp"

namespace {
bool is_key_type(std::string_view word) { return word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-"); }
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = berth::auth::split_authorized_line(text, is_key_type);
  for (const std::string_view options : {text, line ? line->options : std::string_view()}) {
    const auto parsed = berth::auth::parse_key_options(options);
    if (!parsed) continue;
    const auto again = berth::auth::parse_key_options(parsed->text);
    if (!again || again->text != parsed->text || again->permissions.restriction() != parsed->permissions.restriction()) std::abort();
    (void)parsed->permissions.may_connect("localhost", 80);
    (void)parsed->permissions.may_listen("localhost", 80);
    if (parsed->permissions.from) (void)berth::auth::source_allowed(*parsed->permissions.from, "203.0.113.7");
  }
  return 0;
}
