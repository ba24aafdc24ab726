#include "web/tls.hpp"

#include <fstream>

#include "tests/unit/web/harness.hpp"

namespace berth::web {
namespace {

TEST(SelfSigned, IsMadeOnceAndKept) {
  TempDir dir;
  const TlsFiles files = ensure_self_signed(dir.path() / "tls", "box.example").value();
  const std::string first = load_tls_identity(files.certificate, files.private_key).value().fingerprint;
  EXPECT_EQ(first.size(), 95u);
  ASSERT_TRUE(ensure_self_signed(dir.path() / "tls", "box.example"));
  EXPECT_EQ(load_tls_identity(files.certificate, files.private_key).value().fingerprint, first);
}

TEST(SelfSigned, NeedsAFolderThatExists) {
  const auto made = ensure_self_signed("/nonexistent/berth/tls", "box");
  ASSERT_TRUE(made.has_error());
  EXPECT_NE(made.error().message.find("/nonexistent/berth/tls"), std::string::npos);
}

TEST(TlsIdentity, ErrorsNameTheFile) {
  TempDir dir, other;
  const TlsFiles files = ensure_self_signed(dir.path() / "tls", "a").value(), others = ensure_self_signed(other.path() / "tls", "b").value();
  EXPECT_NE(load_tls_identity("/none.pem", files.private_key).error().message.find("/none.pem"), std::string::npos);
  EXPECT_NE(load_tls_identity(files.certificate, others.private_key).error().message.find(others.private_key.string()), std::string::npos);
}

class Reload : public WebTest {
 protected:
  std::string served() {
    Wire wire = portal_tls();
    X509Handle certificate(SSL_get1_peer_certificate(wire.ssl()));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!certificate || X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return {};
    return hex_encode({reinterpret_cast<const char*>(digest), size});
  }
  void wait_for_fingerprint(const std::string& wanted) {
    for (int i = 0; i < 500 && server->certificate_fingerprint() != wanted; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(server->certificate_fingerprint(), wanted);
  }
};

TEST_F(Reload, ChangedFilesAreServedAndBrokenOnesAreNot) {
  const std::string before = served();
  const std::filesystem::path tls = dir.path() / "tls";
  std::filesystem::rename(tls / "certificate.pem", dir.path() / "old.pem");
  std::ofstream(tls / "certificate.pem") << "broken";
  std::this_thread::sleep_for(std::chrono::milliseconds(2'300));  // longer than the server's look at the files
  EXPECT_EQ(served(), before);
  TempDir made;
  const TlsFiles fresh = ensure_self_signed(made.path() / "tls", "new.example").value();
  std::filesystem::copy_file(fresh.private_key, tls / "key.pem", std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(fresh.certificate, tls / "certificate.pem", std::filesystem::copy_options::overwrite_existing);
  wait_for_fingerprint(load_tls_identity(fresh.certificate, fresh.private_key).value().fingerprint);
  EXPECT_NE(served(), before);
}

}  // namespace
}  // namespace berth::web
