// The server's TLS: 1.2 and 1.3, AEAD ciphers, a certificate from files or made by ourselves.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::web {

struct TlsIdentity {
  SslContextHandle context;
  std::string fingerprint;  // SHA-256 of the certificate, "AB:CD:…"
};

// Reads a PEM chain and its key. Errors name the file and what is wrong with it.
Result<TlsIdentity> load_tls_identity(const std::filesystem::path& certificate, const std::filesystem::path& private_key);

struct TlsFiles { std::filesystem::path certificate, private_key; };

// The files of the self-signed certificate in `directory`, made now when they are missing: ECDSA P-256, ten years,
// for `host_name`, localhost, 127.0.0.1, ::1 and, with a `wildcard_domain`, every name right below that; made anew when it lacks these. The
// key's mode is 0600.
Result<TlsFiles> ensure_self_signed(const std::filesystem::path& directory, const std::string& host_name, const std::string& wildcard_domain = {});

// Notices that files were replaced: compares times and sizes.
class FileWatch {
 public:
  explicit FileWatch(TlsFiles files) : files_(std::move(files)), seen_(state()) {}
  // True once for each change.
  bool changed();
  const TlsFiles& files() const { return files_; }

 private:
  std::string state() const;
  TlsFiles files_;
  std::string seen_;
};

}  // namespace berth::web
