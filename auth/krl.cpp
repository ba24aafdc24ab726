#include "auth/krl.hpp"

#include "base/encoding.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {

constexpr std::string_view kMagic{"SSHKRL\n\0", 8};
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kMostEntries = 200'000, kMostKeyId = 1024, kMostBitmap = 256 * 1024;
constexpr std::size_t kSha1Size = 20, kSha256Size = 32;

enum Section : std::uint8_t { kCertificates = 1, kExplicitKeys = 2, kSha1 = 3, kSignature = 4, kSha256 = 5 };
enum CertificateSection : std::uint8_t { kSerialList = 0x20, kSerialRange = 0x21, kSerialBitmap = 0x22, kKeyIds = 0x23 };

using Entries = std::vector<Revocation>;
using Kind = Revocation::Kind;

Error malformed(std::string_view what) { return {ErrorKind::invalid, "the revocation list is malformed: " + std::string(what)}; }
Error too_many() { return {ErrorKind::too_large, "the revocation list has over 200000 entries"}; }

Result<void> add(Entries& entries, Revocation entry) {
  if (entries.size() == kMostEntries) return too_many();
  entries.push_back(std::move(entry));
  return {};
}

Result<void> read_serial_list(Entries& entries, const std::string& authority, WireReader fields) {
  while (fields.ok() && fields.left() > 0) {
    const std::uint64_t serial = fields.u64();
    if (!fields.ok()) return malformed("serials");
    if (auto added = add(entries, {Kind::serials, authority, serial, serial, {}}); !added) return added;
  }
  return {};
}

Result<void> read_serial_range(Entries& entries, const std::string& authority, WireReader fields) {
  const std::uint64_t first = fields.u64(), last = fields.u64();
  if (!fields.complete() || first > last) return malformed("range of serials");
  return add(entries, {Kind::serials, authority, first, last, {}});
}

// An offset and a number whose bits say which serials after it are revoked; runs of them become ranges.
Result<void> read_serial_bitmap(Entries& entries, const std::string& authority, WireReader fields) {
  const std::uint64_t offset = fields.u64();
  const std::string_view bitmap = fields.string();
  if (!fields.complete() || bitmap.size() > kMostBitmap || (!bitmap.empty() && static_cast<unsigned char>(bitmap.front()) >= 0x80)) return malformed("bitmap of serials");
  const std::uint64_t bits = bitmap.size() * 8;
  if (bits > 0 && offset > UINT64_MAX - bits) return malformed("bitmap of serials");
  const auto is_set = [&](std::uint64_t bit) { return (static_cast<unsigned char>(bitmap[bitmap.size() - 1 - bit / 8]) >> (bit % 8) & 1) != 0; };
  for (std::uint64_t bit = 0; bit < bits; ++bit) {
    if (!is_set(bit)) continue;
    const std::uint64_t first = bit;
    while (bit + 1 < bits && is_set(bit + 1)) ++bit;
    if (auto added = add(entries, {Kind::serials, authority, offset + first, offset + bit, {}}); !added) return added;
  }
  return {};
}

Result<void> read_key_ids(Entries& entries, const std::string& authority, WireReader fields) {
  while (fields.ok() && fields.left() > 0) {
    const std::string_view id = fields.string();
    if (!fields.ok() || id.size() > kMostKeyId) return malformed("key ids");
    if (auto added = add(entries, {Kind::key_id, authority, 0, 0, std::string(id)}); !added) return added;
  }
  return {};
}

Result<void> read_certificates(Entries& entries, WireReader fields) {
  struct Row {
    CertificateSection section;
    Result<void> (*read)(Entries&, const std::string&, WireReader);
  };
  static constexpr Row kRows[] = {
      {kSerialList, read_serial_list}, {kSerialRange, read_serial_range}, {kSerialBitmap, read_serial_bitmap}, {kKeyIds, read_key_ids}};
  const std::string authority(fields.string());
  fields.string();  // reserved
  while (fields.ok() && fields.left() > 0) {
    const std::uint8_t section = fields.u8();
    const std::string_view data = fields.string();
    if (!fields.ok()) break;
    const Row* found = nullptr;
    for (const Row& row : kRows)
      if (row.section == section) found = &row;
    // An unknown section could revoke something that would then be let in.
    if (!found) return malformed("a kind of section for certificates that Berth does not know");
    if (auto read = found->read(entries, authority, WireReader(data)); !read) return read;
  }
  if (!fields.complete()) return malformed("certificates");
  return {};
}

// Keys as blobs or as hashes, one string each. sshd looks a certificate up by its plain key here.
Result<void> read_keys(Entries& entries, std::uint8_t section, WireReader fields) {
  const std::size_t size = section == kSha1 ? kSha1Size : kSha256Size;
  while (fields.ok() && fields.left() > 0) {
    const std::string_view key = fields.string();
    if (!fields.ok() || key.empty() || (section != kExplicitKeys && key.size() != size)) return malformed("keys");
    Revocation entry{section == kSha1 ? Kind::key_sha1 : Kind::key_sha256, {}, 0, 0, section == kExplicitKeys ? sha256(key) : std::string(key)};
    if (auto added = add(entries, std::move(entry)); !added) return added;
  }
  if (!fields.complete()) return malformed("keys");
  return {};
}

}  // namespace

Result<std::vector<Revocation>> parse_krl(std::string_view bytes) {
  WireReader fields(bytes);
  if (fields.take(kMagic.size()) != kMagic) return Error{ErrorKind::invalid, "this is not a key revocation list (ssh-keygen -k -f FILE …)"};
  if (fields.u32() != kFormat) return Error{ErrorKind::invalid, "this revocation list has a newer format than Berth knows"};
  for (int i = 0; i < 3; ++i) fields.u64();  // version, date, flags
  fields.string();                           // reserved
  fields.string();                           // comment
  Entries entries;
  while (fields.ok() && fields.left() > 0) {
    const std::uint8_t section = fields.u8();
    const std::string_view data = fields.string();
    if (!fields.ok()) break;
    Result<void> read;
    switch (section) {
      case kCertificates: read = read_certificates(entries, WireReader(data)); break;
      case kExplicitKeys:
      case kSha1:
      case kSha256: read = read_keys(entries, section, WireReader(data)); break;
      case kSignature: return Error{ErrorKind::invalid, "signed revocation lists are not supported: take the signature off"};
      default: return malformed("a kind of section that Berth does not know");
    }
    if (!read) return read.error();
  }
  if (!fields.complete()) return malformed("it is cut off");
  return entries;
}

}  // namespace berth::auth
