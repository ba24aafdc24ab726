#include "server/ssh/host_keys.hpp"

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <openssl/evp.h>

#include "base/handles.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace {

using KeyHandle = std::unique_ptr<ssh_key_struct, FreeWith<ssh_key_free>>;
using BindHandle = std::shared_ptr<ssh_bind_struct>;
using TextHandle = std::unique_ptr<char, FreeWith<ssh_string_free_char>>;

// What the server offers, best first. curve25519 is the only key exchange that OpenSSH (since 6.5), PuTTY, paramiko,
// asyncssh and libssh all have and that no audit tool objects to; with AEAD ciphers the MAC is implied, and the list is
// only there because the protocol wants one. Signatures: everything but SHA-1 and DSA.
struct Offer {
  ssh_bind_options_e option;
  const char* algorithms;
};
constexpr char kCiphers[] = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com";
constexpr char kMacs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com";
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

Result<std::shared_ptr<ssh_bind_struct>> bind_of_this_thread(const std::shared_ptr<const ServerOptions>& options) {
  struct Cache {
    std::shared_ptr<const ServerOptions> options;
    BindHandle bind;
  };
  thread_local Cache cache;
  if (cache.options != options) {
    ssh_init();
    Result<BindHandle> bind = make_bind(*options);
    if (!bind) return bind.error();
    cache = Cache{options, std::move(*bind)};
  }
  return cache.bind;
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
  PacketReader in(blob);
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
