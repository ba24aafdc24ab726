#include "server/ssh/host_keys.hpp"

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/handles.hpp"
#include "server/ssh/wire.hpp"

// In the archive, not in its headers; redirect_libssh.cmake checks that they are there.
struct ssh_signature_struct;
enum BerthSshDigest { kDigestAuto = 0, kDigestSha256 = 2, kDigestSha512 = 4 };  // enum ssh_digest_e of libssh's pki.h
extern "C" ssh_signature_struct* pki_sign_data(ssh_key private_key, BerthSshDigest digest, const unsigned char* input, size_t length);
extern "C" int ssh_pki_export_signature_blob(const ssh_signature_struct* signature, ssh_string* blob);
extern "C" void ssh_signature_free(ssh_signature_struct* signature);

namespace berth::ssh {
namespace {

using KeyHandle = std::unique_ptr<ssh_key_struct, FreeWith<ssh_key_free>>;
using BindHandle = std::shared_ptr<ssh_bind_struct>;
using TextHandle = std::unique_ptr<char, FreeWith<ssh_string_free_char>>;
using StringHandle = std::unique_ptr<ssh_string_struct, FreeWith<ssh_string_free>>;
using SignatureHandle = std::unique_ptr<ssh_signature_struct, FreeWith<ssh_signature_free>>;

// What the server offers, best first. curve25519 is the only key exchange that OpenSSH (since 6.5), PuTTY, paramiko,
// asyncssh and libssh all have and that no audit tool objects to; with AEAD ciphers the MAC is implied, and the list is
// only there because the protocol wants one. Signatures: everything but SHA-1 and DSA.
struct Offer {
  ssh_bind_options_e option;
  const char* algorithms;
};
// CTR and the plain MACs are for libssh2 (curl, libgit2) up to 1.10, which has no others.
constexpr char kCiphers[] = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr";
constexpr char kMacs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";
constexpr Offer kOffers[] = {
    {SSH_BIND_OPTIONS_KEY_EXCHANGE, "curve25519-sha256,curve25519-sha256@libssh.org"},
    {SSH_BIND_OPTIONS_CIPHERS_C_S, kCiphers},
    {SSH_BIND_OPTIONS_CIPHERS_S_C, kCiphers},
    {SSH_BIND_OPTIONS_HMAC_C_S, kMacs},
    {SSH_BIND_OPTIONS_HMAC_S_C, kMacs},
    {SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS,
     "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"},
    {SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES,
     "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"
     "sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"},
};
constexpr int kRsaMinimumBits = 2048;

struct KeyType {
  std::string_view name;
  ssh_keytypes_e type;
  int bits;
};
constexpr KeyType kKeyTypes[] = {
    {"ed25519", SSH_KEYTYPE_ED25519, 0}, {"ecdsa", SSH_KEYTYPE_ECDSA_P256, 256}, {"rsa", SSH_KEYTYPE_RSA, 3072}};

Result<KeyHandle> import_private_key(const std::string& pem) {
  ssh_key key = nullptr;
  if (ssh_pki_import_privkey_base64(pem.c_str(), nullptr, nullptr, nullptr, &key) != SSH_OK)
    return Error{ErrorKind::invalid, "This is not a private key without a passphrase in OpenSSH's or PEM format."};
  return KeyHandle(key);
}

Result<BindHandle> make_bind(const ServerOptions& options) {
  BindHandle bind(ssh_bind_new(), ssh_bind_free);
  if (!bind) return Error{ErrorKind::internal, "out of memory"};
  const bool read_system_files = false;
  ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_PROCESS_CONFIG, &read_system_files);
  ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_BANNER, options.software_version.c_str());
  ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_RSA_MIN_SIZE, &kRsaMinimumBits);
  for (const Offer& offer : kOffers) {
    if (ssh_bind_options_set(bind.get(), offer.option, offer.algorithms) != 0)
      return Error{ErrorKind::internal, std::string("libssh lacks one of ") + offer.algorithms};
  }
  if (options.host_keys.empty()) return Error{ErrorKind::invalid, "The SSH server has no host key."};
  for (const std::string& pem : options.host_keys) {
    Result<KeyHandle> key = import_private_key(pem);
    if (!key) return Error{ErrorKind::invalid, "A host key cannot be used: " + key.error().message};
    if (ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_IMPORT_KEY, key->get()) != 0)
      return Error{ErrorKind::invalid, std::string("A host key cannot be used: ") + ssh_get_error(bind.get())};
    static_cast<void>(key->release());  // the bind owns it now
  }
  return bind;
}

}  // namespace

Result<std::shared_ptr<const HostIdentity>> HostIdentity::make(const ServerOptions& options) {
  ssh_init();
  Result<BindHandle> bind = make_bind(options);
  if (!bind) return bind.error();
  std::shared_ptr<HostIdentity> identity(new HostIdentity());
  identity->bind_ = std::move(*bind);
  for (const auto* keys : {&options.host_keys, &options.announced_keys}) {
    for (const std::string& pem : *keys) {
      Result<KeyHandle> key = import_private_key(pem);
      if (!key) return Error{ErrorKind::invalid, "A host key cannot be used: " + key.error().message};
      Result<PublicKey> half = public_half(pem);
      if (!half) return half.error();
      identity->public_keys_.push_back(std::move(*half));
      identity->private_keys_.push_back(key->release());
    }
  }
  return std::shared_ptr<const HostIdentity>(std::move(identity));
}

HostIdentity::~HostIdentity() {
  for (ssh_key_struct* key : private_keys_) ssh_key_free(key);
}

std::optional<std::string> HostIdentity::sign(std::string_view public_blob, std::string_view data, bool rsa_sha256) const {
  for (std::size_t i = 0; i < public_keys_.size(); ++i) {
    if (public_keys_[i].blob != public_blob) continue;
    const bool is_rsa = public_keys_[i].type == "ssh-rsa";
    BerthSshDigest digest = kDigestAuto;  // what the key's type implies
    if (is_rsa) digest = rsa_sha256 ? kDigestSha256 : kDigestSha512;
    if (public_keys_[i].type.starts_with("ecdsa-")) digest = kDigestSha256;  // only P-256 is ever made
    const SignatureHandle signature(pki_sign_data(private_keys_[i], digest, reinterpret_cast<const unsigned char*>(data.data()), data.size()));
    ssh_string blob = nullptr;
    if (!signature || ssh_pki_export_signature_blob(signature.get(), &blob) != SSH_OK) return std::nullopt;
    const StringHandle owned(blob);
    return std::string(static_cast<const char*>(ssh_string_data(blob)), ssh_string_len(blob));
  }
  return std::nullopt;
}

Result<std::shared_ptr<const HostIdentity>> identity_of_this_thread(const std::shared_ptr<const ServerOptions>& options) {
  struct Cache {
    std::shared_ptr<const ServerOptions> options;
    std::shared_ptr<const HostIdentity> identity;
  };
  thread_local Cache cache;
  if (cache.options != options) {
    auto identity = HostIdentity::make(*options);
    if (!identity) return identity.error();
    cache = Cache{options, std::move(*identity)};
  }
  return cache.identity;
}

bool serves_algorithm(const std::vector<PublicKey>& keys, std::string_view algorithm) {
  const std::string_view type = algorithm.starts_with("rsa-sha2-") ? "ssh-rsa" : algorithm;
  return algorithm != "ssh-rsa" && std::any_of(keys.begin(), keys.end(), [type](const PublicKey& key) { return key.type == type; });
}

std::optional<PublicKey> public_key_of(ssh_key_struct* key) {
  char* text = nullptr;
  if (!key || ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return std::nullopt;
  const TextHandle base64(text);
  const std::string_view encoded(text);
  std::string blob(encoded.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(blob.data()),
                                     reinterpret_cast<const unsigned char*>(encoded.data()), static_cast<int>(encoded.size()));
  if (length < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as bytes.
  const std::size_t padding = encoded.ends_with("==") ? 2 : encoded.ends_with("=") ? 1 : 0;
  blob.resize(static_cast<std::size_t>(length) - padding);
  WireReader in(blob);
  PublicKey result;
  result.type = in.text();
  if (!in.ok()) return std::nullopt;
  result.blob = std::move(blob);
  return result;
}

Result<std::string> generate_host_key(std::string_view type) {
  ssh_init();
  for (const KeyType& row : kKeyTypes) {
    if (row.name != type) continue;
    ssh_key key = nullptr;
    if (ssh_pki_generate(row.type, row.bits, &key) != SSH_OK) return Error{ErrorKind::internal, "libssh could not make a key"};
    const KeyHandle owned(key);
    char* text = nullptr;
    if (ssh_pki_export_privkey_base64(key, nullptr, nullptr, nullptr, &text) != SSH_OK)
      return Error{ErrorKind::internal, "libssh could not write a key"};
    const TextHandle pem(text);
    return std::string(text);
  }
  return Error{ErrorKind::invalid, "A host key is of type ed25519, ecdsa or rsa."};
}

Result<PublicKey> public_half(std::string_view private_key) {
  ssh_init();
  Result<KeyHandle> key = import_private_key(std::string(private_key));
  if (!key) return key.error();
  ssh_key half = nullptr;
  if (ssh_pki_export_privkey_to_pubkey(key->get(), &half) != SSH_OK) return Error{ErrorKind::internal, "libssh could not read a key"};
  const KeyHandle owned(half);
  if (auto result = public_key_of(half)) return std::move(*result);
  return Error{ErrorKind::internal, "libssh could not export a key"};
}

}  // namespace berth::ssh
