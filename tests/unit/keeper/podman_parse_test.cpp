#include "keeper/podman_parse.hpp"

#include <gtest/gtest.h>

#include <string>

namespace berth::keeper {
namespace {

std::string tar_of(char kind, std::string_view target, std::string_view content = "") {
  std::string header(512, '\0');
  header.replace(0, 9, "libc.so.6");
  header[156] = kind;
  header.replace(157, target.size(), target);
  return header + std::string(content);
}

TEST(TarLinkTarget, IsOfALinkOnly) {
  EXPECT_EQ(tar_link_target(tar_of('2', "libc-2.31.so")), "libc-2.31.so");
  EXPECT_EQ(tar_link_target(tar_of('2', std::string(100, 'a'))), std::string(100, 'a'));
  EXPECT_EQ(tar_link_target(tar_of('0', "", "file")), "");
  EXPECT_EQ(tar_link_target(std::string(100, '2')), "");
  EXPECT_EQ(tar_link_target(""), "");
}

TEST(GlibcVersion, StandsInTheLibrarysOwnSentence) {
  EXPECT_EQ(glibc_version_in("GNU C Library (Debian GLIBC 2.31-13+deb11u11) stable release version 2.31.\nCopyright"), "2.31");
  EXPECT_EQ(glibc_version_in("GNU C Library (GNU libc) stable release version 2.17, by Roland McGrath et al."), "2.17");
  EXPECT_EQ(glibc_version_in("musl libc (x86_64)\nVersion 1.2.4"), "");
}

}  // namespace
}  // namespace berth::keeper
