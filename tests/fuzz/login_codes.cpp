// libFuzzer on what stands in links and is typed as a code: tests/fuzz/run login_codes [SECONDS].
#include <cstdlib>

#include "auth/login_code.hpp"
#include "base/encoding.hpp"
#include "web/app_origin.hpp"
#include "web/response.hpp"

using namespace berth::web;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  const std::string code = berth::auth::normal_code(data);
  if (code.size() > 64 || berth::auth::normal_code(code) != code || code.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != std::string::npos) std::abort();
  if (const auto target = parse_app_label(data); target && app_label(*target) != data) std::abort();
  const auto plain = percent_decode(data);
  if (plain && plain->find('\0') != std::string::npos && data.find('\0') == std::string_view::npos) std::abort();
  if (percent_decode(berth::percent_encode(data)) != data && data.find('\0') == std::string_view::npos) std::abort();
  for (const std::string_view name : {"code", "to", "app", "bind"}) (void)query_value(data, name);
  if (escape_html(data).find_first_of("<>\"'") != std::string::npos) std::abort();
  return 0;
}
