#include "auth/certificate.hpp"

#include <algorithm>

#include "auth/signature.hpp"
#include "base/encoding.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {

constexpr std::size_t kMostBlob = 64 * 1024, kMostPrincipals = 256, kMostOptions = 64, kMostText = 1024;
constexpr std::size_t kNonceSize = 32;

struct CertificateType {
  std::string_view name, key_type;
  std::size_t key_fields;  // strings between nonce and serial
};
constexpr CertificateType kTypes[] = {
    {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2},
    {"ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2},
    {"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 3},
};

const CertificateType* type_named(std::string_view name) {
  for (const CertificateType& row : kTypes)
    if (row.name == name) return &row;
  return nullptr;
}

Error malformed(std::string_view what) { return {ErrorKind::invalid, "the certificate is malformed: " + std::string(what)}; }

bool is_text(std::string_view text) { return text.size() <= kMostText && text.find('\0') == std::string_view::npos; }

// Pairs of name and data, in lexical order and each name once.
Result<std::vector<std::pair<std::string, std::string>>> read_options(std::string_view bytes, std::string_view what) {
  std::vector<std::pair<std::string, std::string>> options;
  WireReader fields(bytes);
  while (fields.ok() && fields.left() > 0) {
    const std::string_view name = fields.string(), data = fields.string();
    if (!fields.ok() || name.empty() || !is_text(name) || options.size() == kMostOptions) return malformed(what);
    if (!options.empty() && options.back().first >= name) return malformed(std::string(what) + " are not in order, or one is there twice");
    options.emplace_back(name, data);
  }
  if (!fields.complete()) return malformed(what);
  return options;
}

Result<std::vector<std::string>> read_principals(std::string_view bytes) {
  std::vector<std::string> principals;
  WireReader fields(bytes);
  while (fields.ok() && fields.left() > 0) {
    const std::string_view name = fields.string();
    if (!fields.ok() || !is_text(name) || principals.size() == kMostPrincipals) return malformed("principals");
    principals.emplace_back(name);
  }
  if (!fields.complete()) return malformed("principals");
  return principals;
}

// The data of a critical option is one string.
std::optional<std::string> option_text(std::string_view data) {
  WireReader fields(data);
  const std::string_view text = fields.string();
  if (!fields.complete() || text.empty() || text.find('\0') != std::string_view::npos) return std::nullopt;
  return std::string(text);
}

std::string take_option(Permissions& may, const std::string& name, const std::string& data) {
  if (name == "verify-required" && data.empty()) {
    may.verify_required = true;
    return {};
  }
  const auto text = option_text(data);
  if (name == "force-command" && text) {
    may.forced_command = *text;
    return {};
  }
  if (name == "source-address" && text && check_networks(*text).empty()) {
    may.from = *text;
    return {};
  }
  return "critical option '" + name.substr(0, 64) + "' is malformed or not understood";
}

struct ExtensionRow {
  std::string_view name;
  bool Permissions::*permits;
};
constexpr ExtensionRow kExtensions[] = {
    {"permit-pty", &Permissions::pty},
    {"permit-port-forwarding", &Permissions::port_forwarding},
    {"permit-agent-forwarding", &Permissions::agent_forwarding},
    {"permit-X11-forwarding", &Permissions::x11_forwarding},
};

std::string write_options(const std::vector<std::pair<std::string, std::string>>& options) {
  WireWriter bytes;
  for (const auto& [name, data] : options) bytes.string(name).string(data);
  return bytes.bytes();
}

}  // namespace

bool is_certificate_type(std::string_view type) { return type_named(type) != nullptr; }

Result<Certificate> parse_certificate(std::string_view blob) {
  if (blob.size() > kMostBlob) return Error{ErrorKind::too_large, "the certificate has over 64 KiB"};
  WireReader fields(blob);
  const CertificateType* type = type_named(fields.string());
  if (!type) return Error{ErrorKind::invalid, "this is not a certificate of a type that Berth knows"};
  Certificate certificate;
  certificate.type = type->name;
  certificate.key_type = type->key_type;
  fields.string();  // the nonce
  WireWriter key;
  key.string(type->key_type);
  for (std::size_t i = 0; i < type->key_fields; ++i) key.string(fields.string());
  certificate.key_blob = key.bytes();
  certificate.serial = fields.u64();
  certificate.kind = fields.u32();
  const std::string_view key_id = fields.string(), principals = fields.string();
  certificate.valid_after = fields.u64();
  certificate.valid_before = fields.u64();
  const std::string_view options = fields.string(), extensions = fields.string();
  fields.string();  // reserved
  certificate.authority_blob = fields.string();
  const std::size_t signed_size = blob.size() - fields.left();
  certificate.signature = fields.string();
  if (!fields.complete()) return malformed("its fields do not fit its length");
  certificate.signed_part = blob.substr(0, signed_size);
  if (!is_text(key_id)) return malformed("key id");
  certificate.key_id = key_id;
  auto names = read_principals(principals);
  if (!names) return names.error();
  certificate.principals = std::move(*names);
  auto read = read_options(options, "critical options");
  if (!read) return read.error();
  certificate.critical_options = std::move(*read);
  read = read_options(extensions, "extensions");
  if (!read) return read.error();
  certificate.extensions = std::move(*read);
  return certificate;
}

bool signature_holds(const Certificate& certificate) {
  // An authority is a plain key: verify_signature knows no type of certificate.
  return verify_signature(certificate.authority_blob, certificate.signed_part, certificate.signature).has_value();
}

Result<Permissions> permissions_of(const Certificate& certificate) {
  Permissions may;
  for (const ExtensionRow& row : kExtensions) {
    may.*row.permits = std::any_of(certificate.extensions.begin(), certificate.extensions.end(), [&](const auto& each) { return each.first == row.name; });
  }
  for (const auto& [name, data] : certificate.critical_options) {
    if (std::string why = take_option(may, name, data); !why.empty()) return Error{ErrorKind::denied, std::move(why)};
  }
  return may;
}

std::string check_principal_rule(std::string_view rule) {
  const std::size_t equals = rule.rfind('=');
  const bool plain = !rule.empty() && rule.size() <= 256 && std::all_of(rule.begin(), rule.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != ',';
  });
  if (plain && (rule.find("%u") != std::string_view::npos) != (equals != std::string_view::npos && equals > 0 && equals + 1 < rule.size())) return {};
  return "a rule for principals is %u (the user's name, perhaps with text around it) or PRINCIPAL=USER, without blanks";
}

bool principal_fits(const std::vector<std::string>& principals, const std::vector<std::string>& rules, std::string_view user) {
  for (const std::string& rule : rules) {
    std::string wanted;
    if (const std::size_t at = rule.find("%u"); at != std::string::npos) {
      wanted = rule.substr(0, at) + std::string(user) + rule.substr(at + 2);
    } else if (const std::size_t equals = rule.rfind('='); equals != std::string::npos && std::string_view(rule).substr(equals + 1) == user) {
      wanted = rule.substr(0, equals);
    }
    if (!wanted.empty() && std::find(principals.begin(), principals.end(), wanted) != principals.end()) return true;
  }
  return false;
}

std::string refusal_of(const Certificate& certificate, const std::vector<std::string>& rules, std::string_view user, Timestamp now) {
  const auto seconds = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
  if (certificate.kind != kUserCertificate) return "it is not a user certificate";
  if (certificate.principals.empty()) return "it names no principal";
  if (!principal_fits(certificate.principals, rules, user)) return "no principal fits the user";
  if (seconds < certificate.valid_after) return "it is not valid yet";
  if (seconds >= certificate.valid_before) return "it has expired";
  if (const auto may = permissions_of(certificate); !may) return may.error().message;
  return {};
}

Result<std::string> issue_certificate(const Certificate& wanted, std::string_view private_key_pem) {
  const CertificateType* type = nullptr;
  for (const CertificateType& row : kTypes)
    if (row.key_type == wanted.key_type) type = &row;
  WireReader key(wanted.key_blob);
  if (!type || key.string() != type->key_type) return Error{ErrorKind::invalid, "keys of type " + wanted.key_type + " cannot be certified"};
  auto authority = signing_key_blob(private_key_pem);
  if (!authority) return authority.error();
  WireWriter principals;
  for (const std::string& name : wanted.principals) principals.string(name);
  WireWriter body;
  body.string(type->name).string(random_bytes(kNonceSize));
  body.raw(key.take(key.left()));
  body.number(wanted.serial, 8).number(wanted.kind, 4).string(wanted.key_id).string(principals.bytes());
  body.number(wanted.valid_after, 8).number(wanted.valid_before, 8);
  body.string(write_options(wanted.critical_options)).string(write_options(wanted.extensions)).string("").string(*authority);
  auto signature = sign(private_key_pem, body.bytes());
  if (!signature) return signature.error();
  return body.string(*signature).bytes();
}

}  // namespace berth::auth
