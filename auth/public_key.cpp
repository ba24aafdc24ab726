// Public keys in authorized_keys form: RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's PROTOCOL.u2f.
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include <algorithm>

#include "auth/directory.hpp"
#include "auth/rows.hpp"
#include "base/encoding.hpp"
#include "base/handles.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {

constexpr std::size_t kMostLine = 16 * 1024;
constexpr std::size_t kMostComment = 256;
constexpr std::int64_t kMostRsaBits = 16384;

// An mpint (RFC 4251 section 5) above 0 in its shortest form, without the sign byte; empty when it is anything else.
std::string_view positive(WireReader& fields) {
  const auto byte = [](char c) { return static_cast<unsigned char>(c); };
  std::string_view field = fields.string();
  if (field.empty() || byte(field.front()) >= 0x80) return {};
  if (field.front() != '\0') return field;
  field.remove_prefix(1);
  return field.empty() || byte(field.front()) < 0x80 ? std::string_view() : field;
}

std::int64_t bits_of(std::string_view number) {
  std::int64_t bits = static_cast<std::int64_t>(number.size()) * 8;
  for (unsigned top = static_cast<unsigned char>(number.front()); top < 0x80; top <<= 1) --bits;
  return bits;
}

bool is_odd(std::string_view number) { return (static_cast<unsigned char>(number.back()) & 1) != 0; }

struct KeyType {
  std::string_view name;
  std::string (*check)(const KeyType& type, WireReader& fields, const Settings::Keys& policy);  // what is wrong, or ""
  std::string_view curve = {};                 // as in the blob
  const char* group = nullptr;                 // as OpenSSL names it
  std::size_t point_size = 0;
  bool on_token = false;                       // FIDO: an application name follows
};

constexpr char kBroken[] = "the key is damaged: copy the whole line of the .pub file";

bool take_application(const KeyType& type, WireReader& fields) {
  if (!type.on_token) return true;
  const auto application = fields.string();
  return !application.empty() && application.size() <= 256;
}

bool is_on_curve(const char* group, std::string_view point) {
  const EvpKeyContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1) return false;
  std::string group_name(group), octets(point);
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group_name.data(), 0),
                               OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets.data(), octets.size()),
                               OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  const bool made = EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, const_cast<OSSL_PARAM*>(params)) == 1;
  const EvpKeyHandle owned(key);
  return made;
}

std::string check_ed25519(const KeyType& type, WireReader& fields, const Settings::Keys&) {
  const auto point = fields.string();
  return point.size() == 32 && take_application(type, fields) && fields.complete() ? "" : kBroken;
}

std::string check_ecdsa(const KeyType& type, WireReader& fields, const Settings::Keys&) {
  const auto curve = fields.string();
  const auto point = fields.string();
  const bool formed = curve == type.curve && point.size() == type.point_size && point.front() == 4;
  return formed && take_application(type, fields) && fields.complete() && is_on_curve(type.group, point) ? "" : kBroken;
}

std::string check_rsa(const KeyType&, WireReader& fields, const Settings::Keys& policy) {
  const auto exponent = positive(fields);
  const auto modulus = positive(fields);
  if (exponent.empty() || modulus.empty() || !fields.complete() || !is_odd(exponent) || !is_odd(modulus)) return kBroken;
  if (bits_of(exponent) > 64 || bits_of(exponent) < 2) return kBroken;
  const std::int64_t bits = bits_of(modulus);
  if (bits < policy.min_rsa_bits) {
    return "this RSA key has " + std::to_string(bits) + " bits, at least " + std::to_string(policy.min_rsa_bits) +
           " are needed: make a new key with ssh-keygen -t ed25519";
  }
  return bits > kMostRsaBits ? "this RSA key has over 16384 bits: make a new key with ssh-keygen -t ed25519" : "";
}

constexpr KeyType kTypes[] = {
    {"ssh-ed25519", check_ed25519},
    {"ecdsa-sha2-nistp256", check_ecdsa, "nistp256", "P-256", 65},
    {"ecdsa-sha2-nistp384", check_ecdsa, "nistp384", "P-384", 97},
    {"ecdsa-sha2-nistp521", check_ecdsa, "nistp521", "P-521", 133},
    {"ssh-rsa", check_rsa},
    {"sk-ssh-ed25519@openssh.com", check_ed25519, {}, nullptr, 0, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", check_ecdsa, "nistp256", "P-256", 65, true},
};

const KeyType* find_type(std::string_view name) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes), [name](const KeyType& type) { return type.name == name; });
  return found == std::end(kTypes) ? nullptr : found;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

// Why a line whose first word is no known type is refused: the likely mistakes first.
std::string unknown_type(std::string_view word, std::string_view rest) {
  if (word == "ssh-dss") return "DSA keys are too weak: make a new key with ssh-keygen -t ed25519";
  if (word.find("-cert-v01@openssh.com") != std::string_view::npos) return "this is a certificate; the plain public key (the .pub file) is needed";
  while (!rest.empty()) {
    if (find_type(take_word(rest)) != nullptr) return "options before the key are not supported: the line must begin with the type of the key";
  }
  return "this is not an SSH public key: one line such as 'ssh-ed25519 AAAA… you@laptop' is needed (the .pub file)";
}

}  // namespace

bool is_key_type(std::string_view name) { return find_type(name) != nullptr; }

std::int64_t rsa_bits_of(std::string_view blob) {
  WireReader fields(blob);
  if (fields.string() != "ssh-rsa" || positive(fields).empty()) return 0;
  const auto modulus = positive(fields);
  return modulus.empty() ? 0 : bits_of(modulus);
}

std::string fingerprint_of(std::string_view blob) {
  std::string text = base64_encode(sha256(blob));
  text.erase(text.find_last_not_of('=') + 1);
  return "SHA256:" + text;
}

std::string format_public_key(const Key& key) {
  return key.type + " " + base64_encode(key.blob) + (key.comment.empty() ? "" : " " + key.comment);
}

Result<Key> parse_public_key(std::string_view line, const Settings::Keys& policy) {
  const auto refuse = [](std::string why) { return Error{ErrorKind::invalid, std::move(why)}; };
  if (line.size() > kMostLine) return Error{ErrorKind::too_large, "a public key is one line of at most 16 KiB"};
  if (line.find("PRIVATE KEY") != std::string_view::npos) {
    return refuse("this is a PRIVATE key, which nobody else should have: give the .pub file, and make a new key if this one was shown to anybody");
  }
  line = trimmed(line);
  if (line.starts_with("---- BEGIN SSH2")) return refuse("convert this key first: ssh-keygen -i -f FILE");
  if (line.find_first_of("\r\n") != std::string_view::npos) return refuse("one key at a time: a public key is a single line");
  std::string_view rest = line;
  const std::string_view name = take_word(rest);
  const KeyType* type = find_type(name);
  if (type == nullptr) return refuse(unknown_type(name, rest));
  if (std::find(policy.allowed_types.begin(), policy.allowed_types.end(), name) == policy.allowed_types.end()) {
    return refuse("keys of type " + std::string(name) + " are not allowed here: make a new key with ssh-keygen -t ed25519");
  }
  if (policy.require_hardware && !is_hardware(name)) {
    return refuse("only keys on security tokens are allowed here: make one with ssh-keygen -t ed25519-sk");
  }
  const auto blob = base64_decode(take_word(rest));
  if (!blob) return refuse(kBroken);
  WireReader fields(*blob);
  if (fields.string() != name) return refuse(kBroken);
  if (std::string problem = type->check(*type, fields, policy); !problem.empty()) return refuse(std::move(problem));
  Key key;
  key.type = name;
  key.blob = *blob;
  key.fingerprint = fingerprint_of(*blob);
  key.comment = stored_text(rest, kMostComment);
  return key;
}

}  // namespace berth::auth
