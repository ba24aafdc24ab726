// Login codes as people type them.
#pragma once
#include <string>
#include <string_view>

namespace berth::auth {

// "bdgh klmn" and "BDGHKLMN" in the spelling that the page shows, "BDGH-KLMN". What has not eight letters becomes something that no code is.
inline std::string normal_code(std::string_view typed) {
  std::string letters;
  for (const char c : typed.substr(0, 64)) {
    if (c >= 'a' && c <= 'z') letters += static_cast<char>(c - 'a' + 'A');
    if (c >= 'A' && c <= 'Z') letters += c;
  }
  return letters.size() == 8 ? letters.substr(0, 4) + "-" + letters.substr(4) : letters;
}

}  // namespace berth::auth
