// berthd: the front door. Reads the command line and the settings; the rest is daemon.cpp.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "config/settings.hpp"
#include "server/daemon.hpp"
#include "server/start.hpp"
#include "web/openapi.hpp"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;   // also: the settings are wrong
constexpr int kExitNoPermission = 77;  // EX_NOPERM of sysexits.h

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"berthd: SSH and HTTPS front door of a shared GPU box", "berthd"};
  std::string config = "/etc/berth/berth.toml";
  bool check = false, example = false, openapi = false, take_over = false, background = false;
  app.add_option("--config", config, "settings file")->capture_default_str()->type_name("FILE");
  app.add_flag("--check-config", check, "check the settings, say what is wrong with file and line, and end (0: fine, 2: not)");
  app.add_flag("--example-config", example, "print every key with its default and its meaning, and end");
  app.add_flag("--openapi", openapi, "print the OpenAPI description of the HTTP API, and end");
  app.add_flag("--take-over", take_over, "replace the berthd that serves without ending its connections: it goes on with those that it has, for at most server.upgrade_drain");
  app.add_flag("--background", background, "return once it serves (0) or could not start (1), and go on in the background");
  app.set_version_flag("--version", std::string("berthd ") + BERTH_VERSION);
  app.footer("Exit status: 0 ended in order, 1 could not start or broke, 2 wrong usage or settings, 77 started as root.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (example) {
    std::fputs(berth::example_toml().c_str(), stdout);
    return 0;
  }
  if (openapi) {
    std::printf("%s\n", berth::web::openapi_document(BERTH_VERSION).dump(1).c_str());
    return 0;
  }
  const berth::Result<berth::Settings> settings = berth::load_settings(config);
  if (!settings) {
    std::fprintf(stderr, "berthd: the settings cannot be used:\n%s\n", settings.error().message.c_str());
    return kExitUsage;
  }
  if (check) {
    std::printf("%s is fine\n", config.c_str());
    return 0;
  }
  if (::geteuid() == 0) {
    std::fprintf(stderr,
                 "berthd: faces the network and never runs as root. Start it as its own user, for example:\n"
                 "  systemctl start berthd        (installed)\n"
                 "  setpriv --reuid berth --regid berth --init-groups berthd --config %s\n",
                 config.c_str());
    return kExitNoPermission;
  }
  ::umask(0077);
  berth::server::DaemonOptions options{BERTH_VERSION, take_over, {}};
  if (background) {
    const std::optional<int> status = berth::server::go_to_background(options.ready);
    if (status) return *status;
  }
  // After the fork: the log has a thread.
  berth::start_log(settings->server.log_level);
  const berth::Result<void> ended = berth::server::run_daemon(*settings, std::move(options));
  if (!ended) {
    std::fprintf(stderr, "berthd: %s\n", ended.error().message.c_str());
    return kExitFailed;
  }
  return 0;
}
