#include "workspaces/jupyter.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

namespace berth::workspaces {
namespace {

// JupyterLab writes its token into its page, for its scripts. Ours reaches it by the proxy, so the page gets an empty one, by the setting that
// is read last. The first argument is the socket, in a folder of the service's own.
constexpr const char* kLaunch =
    "config=$(dirname \"$1\")/jupyter; shift; mkdir -p \"$config/labconfig\" && echo '{\"token\": \"\"}' >\"$config/labconfig/page_config.json\"; "
    "JUPYTER_CONFIG_PATH=$config${JUPYTER_CONFIG_PATH:+:$JUPYTER_CONFIG_PATH} exec jupyter lab \"$@\"";

}  // namespace

std::string jupyter_token(std::string_view secret, const WorkspaceId& id) {
  const std::string message = "jupyter\n" + id.user + "/" + id.name;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(message.data()), message.size(),
       digest.data(), &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

tunnels::ServiceOptions jupyter_service(const WorkspaceId& id, const std::string& home, const std::string& token) {
  tunnels::ServiceOptions options;
  options.name = "jupyter";
  options.argv = {"/bin/sh", "-c", kLaunch, "jupyter", "{socket}", "--no-browser",
                  "--ServerApp.sock={socket}", "--ServerApp.sock_mode=0600",
                  "--ServerApp.base_url=/w/" + id.user + "/" + id.name + "/jupyter/",
                  "--ServerApp.allow_remote_access=True", "--ServerApp.quit_button=False",
                  "--ServerApp.root_dir=" + home};
  options.env["JUPYTER_TOKEN"] = token;
  // The home is shared by the user's workspaces, whose process ids (and so the files' names) collide.
  options.env["JUPYTER_RUNTIME_DIR"] = home + "/.local/share/jupyter/runtime-" + id.name;
  // Every environment with a kernel is one here; Jupyter looks again each time it is asked.
  options.env["JUPYTER_PATH"] = "/opt/berth/envs/jupyter:/opt/berth/envs/team/jupyter";
  options.start_limit = std::chrono::seconds(60);
  return options;
}

}  // namespace berth::workspaces
