// The rows of authorities and revocations. Used by auth/authorit*.cpp only.
#pragma once
#include "auth/authorities.hpp"
#include "auth/rows.hpp"

namespace berth::auth {

#define BERTH_AUTHORITY_COLUMNS                                                               \
  "a.name, a.fingerprint, a.type, a.blob, a.principals, a.added_at, a.private_key <> '', "    \
  "(SELECT count(*) FROM certificate_revocations r WHERE r.authority IN (a.fingerprint, ''))"
inline constexpr char kSelectAuthorities[] = "SELECT " BERTH_AUTHORITY_COLUMNS " FROM authorities a ORDER BY a.name";
inline constexpr char kSelectAuthorityByName[] = "SELECT " BERTH_AUTHORITY_COLUMNS " FROM authorities a WHERE a.name = ?";
inline constexpr char kSelectAuthorityByFingerprint[] =
    "SELECT a.name, a.fingerprint, a.type, a.blob, a.principals, a.added_at, a.private_key <> '', 0 FROM authorities a WHERE a.fingerprint = ?";

Authority authority_in(const SQLite::Statement& row);

// Unsigned 64-bit numbers in the order of signed ones.
inline std::int64_t stored_serial(std::uint64_t serial) { return static_cast<std::int64_t>(serial ^ (std::uint64_t{1} << 63)); }
inline std::uint64_t serial_of(std::int64_t stored) { return static_cast<std::uint64_t>(stored) ^ (std::uint64_t{1} << 63); }

}  // namespace berth::auth
