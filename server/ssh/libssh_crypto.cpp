// What libssh does around its ciphers for each packet and each login, done with less work (redirect_libssh.cmake puts these in its place).
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/handles.hpp"

namespace {

using MacHandle = std::unique_ptr<EVP_MAC, berth::FreeWith<EVP_MAC_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, berth::FreeWith<EVP_PKEY_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, berth::FreeWith<EVP_MAC_CTX_free>>;

constexpr std::size_t kLargestScratch = 128 * 1024;

// Where a packet is encrypted before it takes the place of the plain one: nothing but what the peer gets is ever in it, so it need not be
// cleared before or wiped after. One of a thread, lent to one packet at a time.
struct Scratch {
  std::vector<unsigned char> bytes;
  bool lent = false;
};
Scratch& scratch() {
  thread_local Scratch one;
  return one;
}

// enum ssh_hmac_e of libssh's wrapper.h: those that host_keys.cpp offers.
enum BerthSshHmac { kHmacSha256 = 2, kHmacSha512 = 3 };

// An HMAC with a key of zeros. A copy of it is given its key in a tenth of the time that a new one takes, in which OpenSSL looks up everything by name.
MacContext make_template(const char* digest) {
  const MacHandle hmac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
  MacContext context(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
  const OSSL_PARAM settings[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(digest), 0), OSSL_PARAM_construct_end()};
  constexpr unsigned char kNoKey[32] = {};
  if (!context || EVP_MAC_init(context.get(), kNoKey, sizeof kNoKey, settings) != 1) return nullptr;
  return context;
}

const EVP_MAC_CTX* template_of(int type) {
  thread_local const MacContext sha256 = make_template("SHA256"), sha512 = make_template("SHA512");
  if (type == kHmacSha256) return sha256.get();
  return type == kHmacSha512 ? sha512.get() : nullptr;
}

// libssh keeps private keys of 32 bytes as such, and has OpenSSL make its own form of one for each use, which is as much work as the use: it computes
// the public half. So the form of a thread's last host key is kept, and that of the key of an exchange until its one use.
struct RawKeys {
  KeyHandle host, exchange;
};
RawKeys& raw_keys() {
  thread_local RawKeys keys;
  return keys;
}

bool is_of(const KeyHandle& handle, int type, const unsigned char* bytes, size_t length) {
  unsigned char own[32];
  size_t size = sizeof own;
  if (!handle || EVP_PKEY_get_base_id(handle.get()) != type || EVP_PKEY_get_raw_private_key(handle.get(), own, &size) != 1) return false;
  const bool same = size == length && CRYPTO_memcmp(own, bytes, size) == 0;
  OPENSSL_cleanse(own, sizeof own);
  return same;
}

}  // namespace

extern "C" {

void* berth_libssh_calloc(size_t count, size_t size) {
  Scratch& one = scratch();
  if (one.lent || count != 1 || size > kLargestScratch) return std::calloc(count, size);
  if (one.bytes.size() < size) one.bytes.resize(size);
  one.lent = true;
  return one.bytes.data();
}
void berth_libssh_explicit_bzero_chk(void* bytes, size_t length, size_t) {
  if (!scratch().lent || bytes != scratch().bytes.data()) ::explicit_bzero(bytes, length);
}
void berth_libssh_free(void* bytes) {
  Scratch& one = scratch();
  if (one.lent && bytes == one.bytes.data()) {
    one.lent = false;
  } else {
    std::free(bytes);
  }
}

// As libssh's own: null or 0 is a failure, and hmac_final ends the context.
EVP_MAC_CTX* berth_libssh_hmac_init(const void* key, size_t length, int type) {
  const EVP_MAC_CTX* const original = template_of(type);
  MacContext context(original ? EVP_MAC_CTX_dup(original) : nullptr);
  if (!context || EVP_MAC_init(context.get(), static_cast<const unsigned char*>(key), length, nullptr) != 1) return nullptr;
  return context.release();
}
int berth_libssh_hmac_update(EVP_MAC_CTX* context, const void* data, size_t length) {
  return EVP_MAC_update(context, static_cast<const unsigned char*>(data), length);
}
int berth_libssh_hmac_final(EVP_MAC_CTX* context, unsigned char* into, size_t* length) {
  const MacContext owned(context);
  std::size_t made = 0;
  if (EVP_MAC_final(context, into, &made, *length) != 1) return 0;
  *length = made;
  return 1;
}

EVP_PKEY* berth_libssh_EVP_PKEY_new_raw_private_key(int type, ENGINE* engine, const unsigned char* bytes, size_t length) {
  RawKeys& keys = raw_keys();
  if (type == EVP_PKEY_X25519 && is_of(keys.exchange, type, bytes, length)) return keys.exchange.release();
  if (type != EVP_PKEY_ED25519) return EVP_PKEY_new_raw_private_key(type, engine, bytes, length);
  if (!is_of(keys.host, type, bytes, length)) keys.host.reset(EVP_PKEY_new_raw_private_key(type, engine, bytes, length));
  if (keys.host) EVP_PKEY_up_ref(keys.host.get());
  return keys.host.get();
}
// Of a key exchange, which begins with it.
int berth_libssh_EVP_PKEY_get_raw_private_key(EVP_PKEY* key, unsigned char* into, size_t* length) {
  const int done = EVP_PKEY_get_raw_private_key(key, into, length);
  if (done == 1 && EVP_PKEY_up_ref(key) == 1) raw_keys().exchange.reset(key);
  return done;
}

// libssh reseeds OpenSSL's generator with the time at each login, for programs that fork to serve one; OpenSSL then seeds every thread's anew.
void berth_libssh_reseed() {}
}
