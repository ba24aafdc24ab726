// Names of applications that have an origin of their own (web.wildcard_domain): "8000--main--ada" and "jupyter--main--ada". Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "web/upstream.hpp"

namespace berth::web {

// "8000" or "jupyter": what stands first in the name, and in the store.
std::string app_of(const Target& target);

// nullopt: with these names it would be longer than a DNS label may be (63), so this one keeps its path. In names, what could be taken for the
// separator or is not allowed in host names is written "-00" ('-') and "-01" ('_').
std::optional<std::string> app_label(const Target& target);
// The one target that has this label, in small letters; nullopt: none has.
std::optional<Target> parse_app_label(std::string_view label);

// A port in its one spelling: digits without leading zeroes, 1 to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text);

}  // namespace berth::web
