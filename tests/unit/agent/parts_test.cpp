// The agent's decisions, without a process or a socket.
#include <gtest/gtest.h>

#include "agent/proc_tree.hpp"
#include "agent/resolver.hpp"
#include "agent/services.hpp"
#include "agent/terminal.hpp"
#include "agent/user.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# a comment\n"
    "short:x:1000\n"
    "ada:x:1000:1000:Ada L.,,,:/home/ada:/usr/bin/fish\n"
    "web:x:33:33::/var/www:/usr/sbin/nologin\n";

UserSources sources(std::map<std::string, std::string> environment = {}, std::set<std::string> programs = {"/bin/bash", "/bin/sh", "/usr/bin/fish"}) {
  return {kPasswd,
          [environment](const char* name) {
            auto found = environment.find(name);
            return found == environment.end() ? std::string() : found->second;
          },
          [programs](const std::string& path) { return programs.contains(path); }};
}

TEST(DescribeUser, ReadsPasswd) {
  auto user = describe_user(1000, sources());
  EXPECT_EQ(user.name, "ada");
  EXPECT_EQ(user.home, "/home/ada");
  EXPECT_EQ(user.shell, "/usr/bin/fish");
}

TEST(DescribeUser, TheEnvironmentComesFirst) {
  auto user = describe_user(1000, sources({{"USER", "grace"}, {"HOME", "/data/grace"}, {"SHELL", "/bin/sh"}}));
  EXPECT_EQ(user.name, "grace");
  EXPECT_EQ(user.home, "/data/grace");
  EXPECT_EQ(user.shell, "/bin/sh");
}

TEST(DescribeUser, AShellThatIsMissingOrRefusesLoginsIsNotTaken) {
  EXPECT_EQ(describe_user(33, sources()).shell, "/bin/bash");
  EXPECT_EQ(describe_user(1000, sources({{"SHELL", "/opt/none"}})).shell, "/usr/bin/fish");
  EXPECT_EQ(describe_user(1000, sources({}, {"/bin/sh"})).shell, "/bin/sh");
}

TEST(DescribeUser, AnUnknownUidStillGetsAWorkingUser) {
  auto user = describe_user(4242, sources());
  EXPECT_EQ(user.name, "4242");
  EXPECT_EQ(user.home, "/");
  EXPECT_EQ(user.shell, "/bin/bash");
}

TEST(ActivationOf, PutsTheEnvironmentBeforeThePath) {
  const char* own[] = {"PATH=/usr/bin:/bin", nullptr};
  const auto added = activation_of(R"({"path":["/opt/berth/envs/x/bin"],"env":{"CONDA_PREFIX":"/opt/berth/envs/x","N":1,"A=B":"c"}})", const_cast<char**>(own));
  EXPECT_EQ(added, (Environment{{"PATH", "/opt/berth/envs/x/bin:/usr/bin:/bin"}, {"CONDA_PREFIX", "/opt/berth/envs/x"}}));
  EXPECT_TRUE(activation_of("", const_cast<char**>(own)).empty());
  EXPECT_TRUE(activation_of("[1]", const_cast<char**>(own)).empty());
  EXPECT_TRUE(activation_of(R"({"path":1,"env":{}})", const_cast<char**>(own)).empty());
}

TEST(MakeEnvironment, LastWordIsTheRequests) {
  const char* own[] = {"PATH=/opt/conda/bin:/bin", "PWD=/x", "LANG=C.UTF-8", "HOME=/wrong", nullptr};
  auto environment = make_environment({"ada", "/home/ada", "/bin/zsh"}, const_cast<char**>(own), {{"TERM", "xterm"}, {"LANG", "de_DE"}});
  EXPECT_EQ(environment, (std::vector<std::string>{"HOME=/home/ada", "LANG=de_DE", "LOGNAME=ada", "PATH=/opt/conda/bin:/bin",
                                                   "SHELL=/bin/zsh", "TERM=xterm", "USER=ada"}));
}

std::string mode(int opcode, std::uint32_t value) {
  return {static_cast<char>(opcode), static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)};
}

TEST(ApplyModes, CharactersAndFlags) {
  termios settings{};
  settings.c_lflag = ECHO | ICANON;
  apply_modes(mode(1, 3) + mode(3, 255) + mode(53, 0) + mode(50, 1) + mode(42, 1) + mode(72, 1) + mode(128, 38400) + mode(0, 0) + mode(36, 1), settings);
  EXPECT_EQ(settings.c_cc[VINTR], 3);
  EXPECT_EQ(settings.c_cc[VERASE], _POSIX_VDISABLE);
  EXPECT_EQ(settings.c_lflag, static_cast<tcflag_t>(ICANON | ISIG));
  EXPECT_EQ(settings.c_iflag, static_cast<tcflag_t>(IUTF8)) << "what follows the end is not read";
  EXPECT_EQ(settings.c_oflag, static_cast<tcflag_t>(ONLCR));
}

TEST(ApplyModes, CutOffOrUndefinedIsIgnored) {
  for (std::string modes : {std::string(), std::string("\x01\0\0", 3), mode(200, 1) + mode(1, 9)}) {
    termios settings{};
    apply_modes(modes, settings);
    EXPECT_EQ(settings.c_cc[VINTR], 0);
  }
}

TEST(ParseStat, NamesMayHoldAnything) {
  ProcessEntry entry;
  EXPECT_TRUE(parse_stat("42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 1 0 1000 2048 33 18446744073709551615", entry));
  EXPECT_EQ(entry.pid, 42);
  EXPECT_EQ(entry.parent, 7);
  EXPECT_EQ(entry.cpu_ticks, 33u);
  EXPECT_EQ(entry.resident_pages, 33u);
  for (const char* broken : {"", "42", "42 (x", "42 (x) S", "x (x) S 1"}) EXPECT_FALSE(parse_stat(broken, entry)) << broken;
}

TEST(LogTail, KeepsTheEnd) {
  LogTail log;
  EXPECT_EQ(log.last_lines(), "");
  log.add("one line\n");
  EXPECT_EQ(log.last_lines(), "one line");
  for (int i = 0; i < 10'000; ++i) log.add("line " + std::to_string(i) + "\n");
  EXPECT_TRUE(log.last_lines().starts_with("line 9980\n"));
  EXPECT_TRUE(log.last_lines().ends_with("\nline 9999"));
  log.add(std::string(100'000, 'x'));
  EXPECT_EQ(log.last_lines(), std::string(4096, 'x'));
}

TEST(Addresses, AreReadAndWritten) {
  for (auto [text, shown] : {std::pair{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"[::1]", "::1"}, {"::ffff:10.0.0.1", "10.0.0.1"}}) {
    Address address;
    ASSERT_TRUE(parse_address(text, 8888, address)) << text;
    EXPECT_EQ(format_address(address.storage), std::pair(std::string(shown), std::uint16_t(8888)));
  }
  Address address;
  for (const char* none : {"", "localhost", "1.2.3", "1.2.3.4.5", "::1::", "[]", "127.0.0.1 "}) EXPECT_FALSE(parse_address(none, 1, address)) << none;
}

TEST(WireBytes, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(tunnels::wire::decode_bytes(tunnels::wire::encode_bytes(all)), all);
  EXPECT_FALSE(tunnels::wire::decode_bytes("\xe2\x82\xac"));
  EXPECT_FALSE(tunnels::wire::decode_bytes("\xc3"));
}

}  // namespace
}  // namespace berth::agent
