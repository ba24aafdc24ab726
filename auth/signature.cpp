#include "auth/signature.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "base/encoding.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {

using NumberHandle = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using EcdsaHandle = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;
using ParamBuildHandle = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;
using ParamsHandle = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>>;

constexpr std::size_t kMostNumber = 2049;  // bytes of an RSA modulus of 16384 bits, with its sign byte
constexpr int kLeastRsaBits = 2048;
constexpr char kEd25519[] = "ssh-ed25519";

const unsigned char* octets(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

struct Algorithm {
  std::string_view key_type, name;  // as on the wire
  const EVP_MD* (*digest)();        // none: the signature scheme has its own
  const char* group = nullptr;      // ECDSA, as OpenSSL names it
  std::string_view curve = {};      // and as on the wire
  bool on_token = false;
};
constexpr Algorithm kAlgorithms[] = {
    {kEd25519, kEd25519, nullptr},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", EVP_sha256, "P-256", "nistp256"},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", EVP_sha384, "P-384", "nistp384"},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", EVP_sha512, "P-521", "nistp521"},
    {"ssh-rsa", "rsa-sha2-256", EVP_sha256},
    {"ssh-rsa", "rsa-sha2-512", EVP_sha512},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com", nullptr, nullptr, {}, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", EVP_sha256, "P-256", "nistp256", true},
};

EvpKeyHandle from_params(const char* type, OSSL_PARAM* params) {
  const EvpKeyContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (context && params && EVP_PKEY_fromdata_init(context.get()) == 1) EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params);
  return EvpKeyHandle(key);
}

NumberHandle positive(std::string_view mpint) {
  if (mpint.empty() || mpint.size() > kMostNumber || octets(mpint)[0] >= 0x80) return nullptr;
  return NumberHandle(BN_bin2bn(octets(mpint), static_cast<int>(mpint.size()), nullptr));
}

EvpKeyHandle rsa_key(WireReader& fields) {
  const NumberHandle exponent = positive(fields.string()), modulus = positive(fields.string());
  if (!exponent || !modulus || BN_num_bits(modulus.get()) < kLeastRsaBits || BN_num_bits(exponent.get()) > 64) return nullptr;
  const ParamBuildHandle build(OSSL_PARAM_BLD_new());
  if (!build || OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return nullptr;
  const ParamsHandle params(OSSL_PARAM_BLD_to_param(build.get()));
  return from_params("RSA", params.get());
}

EvpKeyHandle ec_key(const Algorithm& algorithm, WireReader& fields) {
  if (fields.string() != algorithm.curve) return nullptr;
  std::string group = algorithm.group, point(fields.string());
  if (point.empty()) return nullptr;
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
                         OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()), OSSL_PARAM_construct_end()};
  return from_params("EC", params);
}

EvpKeyHandle ed25519_key(WireReader& fields) {
  const std::string_view point = fields.string();
  if (point.size() != 32) return nullptr;
  return EvpKeyHandle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(point), point.size()));
}

bool verify_with(EVP_PKEY* key, const EVP_MD* digest, std::string_view data, std::string_view signature) {
  const EvpDigestHandle context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(data), data.size()) == 1;
}

// ECDSA: two numbers on the wire, DER for OpenSSL.
std::string ecdsa_der(std::string_view wire) {
  WireReader fields(wire);
  NumberHandle r = positive(fields.string()), s = positive(fields.string());
  const EcdsaHandle pair(ECDSA_SIG_new());
  if (!fields.complete() || !r || !s || !pair || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();  // the pair owns them now
  (void)s.release();
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(pair.get(), &der);
  std::string text;
  if (length > 0) text.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

// RFC 8332 3: as long as the modulus; some implementations leave leading zeros out.
std::string rsa_padded(EVP_PKEY* key, std::string_view signature) {
  const auto size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  if (signature.empty() || signature.size() > size) return {};
  return std::string(size - signature.size(), '\0').append(signature);
}

EvpKeyHandle read_private(std::string_view pem) {
  const BioHandle in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EvpKeyHandle key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr) : nullptr);
  if (key && EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) key.reset();
  return key;
}

Error broken_key() { return {ErrorKind::internal, "the stored signing key cannot be used"}; }

}  // namespace

std::optional<VerifiedSignature> verify_signature(std::string_view key, std::string_view data, std::string_view signature) {
  WireReader key_fields(key), fields(signature);
  const std::string_view type = key_fields.string(), name = fields.string(), value = fields.string();
  const Algorithm* algorithm = nullptr;
  for (const Algorithm& row : kAlgorithms)
    if (row.key_type == type && row.name == name) algorithm = &row;
  if (!algorithm || !fields.ok()) return std::nullopt;

  const bool is_rsa = type == "ssh-rsa";
  const EvpKeyHandle public_key = is_rsa ? rsa_key(key_fields) : algorithm->group ? ec_key(*algorithm, key_fields) : ed25519_key(key_fields);
  VerifiedSignature verified{std::string(name), std::nullopt};
  std::string signed_data(data);
  if (algorithm->on_token) {
    const std::string application = sha256(key_fields.string());
    verified.authenticator_flags = fields.u8();
    const std::uint32_t counter = fields.u32();
    signed_data = WireWriter().raw(application).number(*verified.authenticator_flags, 1).number(counter, 4).raw(sha256(data)).bytes();
  }
  if (!public_key || !key_fields.complete() || !fields.complete()) return std::nullopt;
  const std::string prepared = is_rsa ? rsa_padded(public_key.get(), value) : algorithm->group ? ecdsa_der(value) : std::string(value);
  const EVP_MD* digest = algorithm->digest ? algorithm->digest() : nullptr;
  if (prepared.empty() || !verify_with(public_key.get(), digest, signed_data, prepared)) return std::nullopt;
  return verified;
}

Result<std::string> make_signing_key() {
  const EvpKeyHandle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const BioHandle out(BIO_new(BIO_s_mem()));
  if (!key || !out || PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return Error{ErrorKind::internal, "OpenSSL could not make a key"};
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(length));
}

Result<std::string> signing_key_blob(std::string_view private_key_pem) {
  const EvpKeyHandle key = read_private(private_key_pem);
  unsigned char point[32];
  std::size_t size = sizeof point;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), point, &size) != 1 || size != sizeof point) return broken_key();
  return WireWriter().string(kEd25519).string({reinterpret_cast<const char*>(point), size}).bytes();
}

Result<std::string> sign(std::string_view private_key_pem, std::string_view data) {
  const EvpKeyHandle key = read_private(private_key_pem);
  const EvpDigestHandle context(EVP_MD_CTX_new());
  unsigned char signature[64];
  std::size_t size = sizeof signature;
  if (!key || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature, &size, octets(data), data.size()) != 1)
    return broken_key();
  return WireWriter().string(kEd25519).string({reinterpret_cast<const char*>(signature), size}).bytes();
}

}  // namespace berth::auth
