#include "web/tls.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstring>

namespace berth::web {
namespace {
namespace fs = std::filesystem;

constexpr long kTenYears = 10L * 365 * 24 * 3600;
constexpr unsigned char kSessionContext[] = "berth";

Error tls_error(const std::string& what) {
  char text[256] = "unknown reason";
  if (const unsigned long code = ERR_peek_last_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return Error{ErrorKind::invalid, what + ": " + text};
}

// ALPN: HTTP/1.1 is all we speak. A client that offers only others goes on without ALPN's answer.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  const int found = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kOurs, sizeof kOurs - 1, in, in_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

bool add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string subject_alternative_names(const std::string& host_name, const std::string& wildcard_domain) {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  unsigned char address[16];
  const bool numeric = inet_pton(AF_INET, host_name.c_str(), address) == 1 || inet_pton(AF_INET6, host_name.c_str(), address) == 1;
  if (!host_name.empty() && host_name != "localhost") names += (numeric ? ",IP:" : ",DNS:") + host_name;
  if (!wildcard_domain.empty()) names += ",DNS:*." + wildcard_domain;
  return names;
}

// Does the certificate in `file` hold for names right below the domain? A self-signed one has it with this very spelling.
bool covers(const fs::path& file, const std::string& wildcard_domain) {
  if (wildcard_domain.empty()) return true;
  BioHandle pem(BIO_new_file(file.c_str(), "r"));
  const X509Handle certificate(pem ? PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr) : nullptr);
  const std::string name = "any." + wildcard_domain;
  return certificate && X509_check_host(certificate.get(), name.c_str(), name.size(), 0, nullptr) == 1;
}

Result<void> write_file(const fs::path& path, mode_t mode, const BIO* pem) {
  BUF_MEM* memory = nullptr;
  BIO_get_mem_ptr(const_cast<BIO*>(pem), &memory);
  const fs::path part = path.string() + ".new";
  FileDescriptor file(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file || ::fchmod(file.get(), mode) != 0 || ::write(file.get(), memory->data, memory->length) != static_cast<ssize_t>(memory->length) ||
      ::fsync(file.get()) != 0 || ::rename(part.c_str(), path.c_str()) != 0)
    return errno_error("cannot write " + path.string(), errno);
  return {};
}

Result<X509Handle> sign_certificate(EVP_PKEY* key, const std::string& host_name, const std::string& wildcard_domain) {
  X509Handle certificate(X509_new());
  unsigned char serial[16];
  if (!certificate || RAND_bytes(serial, sizeof serial) != 1) return tls_error("cannot make a certificate");
  serial[0] &= 0x7f;
  std::unique_ptr<BIGNUM, FreeWith<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  X509_set_version(certificate.get(), 2);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);  // clients whose clock is a little behind
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kTenYears);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const std::string common = host_name.empty() || host_name.size() > 64 ? "localhost" : host_name;
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  const bool good = add_extension(certificate.get(), NID_subject_alt_name, subject_alternative_names(host_name, wildcard_domain)) &&
                    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature") &&
                    add_extension(certificate.get(), NID_ext_key_usage, "serverAuth");
  if (!good || X509_sign(certificate.get(), key, EVP_sha256()) == 0) return tls_error("cannot make a certificate for '" + host_name + "'");
  return certificate;
}

}  // namespace

Result<TlsIdentity> load_tls_identity(const fs::path& certificate, const fs::path& private_key) {
  ERR_clear_error();
  SslContextHandle context(SSL_CTX_new(TLS_server_method()));
  if (!context) return tls_error("cannot start TLS");
  SSL_CTX* ctx = context.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);  // bodies are counted, so a missing close_notify cannot cut one short unseen
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // tickets carry the state, nothing is shared between lanes
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_session_id_context(ctx, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(ctx, certificate.c_str()) != 1) return tls_error("cannot use the certificate " + certificate.string());
  if (SSL_CTX_use_PrivateKey_file(ctx, private_key.c_str(), SSL_FILETYPE_PEM) != 1) return tls_error("cannot use the private key " + private_key.string());
  if (SSL_CTX_check_private_key(ctx) != 1) return tls_error("the private key " + private_key.string() + " does not belong to the certificate " + certificate.string());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(SSL_CTX_get0_certificate(ctx), EVP_sha256(), digest, &size);
  TlsIdentity identity{std::move(context), {}};
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (unsigned i = 0; i < size; ++i) {
    if (i > 0) identity.fingerprint += ':';
    identity.fingerprint += kHex[digest[i] >> 4];
    identity.fingerprint += kHex[digest[i] & 15];
  }
  return identity;
}

Result<TlsFiles> ensure_self_signed(const fs::path& directory, const std::string& host_name, const std::string& wildcard_domain) {
  const TlsFiles files{directory / "certificate.pem", directory / "key.pem"};
  std::error_code ignored;
  if (fs::exists(files.certificate, ignored) && fs::exists(files.private_key, ignored) && covers(files.certificate, wildcard_domain)) return files;
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return errno_error("cannot make " + directory.string(), errno);
  EvpKeyHandle key(EVP_EC_gen("P-256"));
  if (!key) return tls_error("cannot make a key");
  auto certificate = sign_certificate(key.get(), host_name, wildcard_domain);
  if (!certificate) return certificate.error();
  BioHandle key_pem(BIO_new(BIO_s_mem())), certificate_pem(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_pem.get(), certificate->get());
  // The certificate last: both are there, or the pair is made again.
  if (auto written = write_file(files.private_key, 0600, key_pem.get()); !written) return written.error();
  if (auto written = write_file(files.certificate, 0644, certificate_pem.get()); !written) return written.error();
  return files;
}

std::string FileWatch::state() const {
  std::string all;
  for (const fs::path& path : {files_.certificate, files_.private_key}) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) status = {};
    all += std::to_string(status.st_ino) + ' ' + std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) + '.' +
           std::to_string(status.st_mtim.tv_nsec) + '\n';
  }
  return all;
}

bool FileWatch::changed() {
  std::string now = state();
  const bool differs = now != seen_;
  seen_ = std::move(now);
  return differs;
}

}  // namespace berth::web
