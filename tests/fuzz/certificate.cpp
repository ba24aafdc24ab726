// libFuzzer on certificates, before and after their signature: tests/fuzz/run certificate [SECONDS].
#include <cstdlib>

#include "auth/certificate.hpp"
#include "auth/signature.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view blob(reinterpret_cast<const char*>(data), size);
  const auto certificate = berth::auth::parse_certificate(blob);
  if (!certificate) return 0;
  const berth::Timestamp now{std::chrono::seconds(1'800'000'000)};
  (void)berth::auth::refusal_of(*certificate, {"%u", "ops=ada"}, "ada", now);
  (void)berth::auth::permissions_of(*certificate);
  (void)berth::auth::signature_holds(*certificate);
  // The same bytes as a key and as a signature of one.
  (void)berth::auth::verify_signature(certificate->key_blob, "data", certificate->signature);
  return 0;
}
