// Which C library an image has: its file is read out of a container that is made and never started.
#include <sys/utsname.h>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "keeper/podman_engine.hpp"
#include "keeper/podman_parse.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
using boost::beast::http::verb;

asio::awaitable<std::string> PodmanEngine::image_glibc(std::string image) {
  const auto found = co_await api_.call(verb::get, "/images/" + percent_encode(image) + "/json");
  if (found.has_error() || !found->ok() || !found->body.is_object()) co_return std::string();
  const std::string id = found->body.value("Id", std::string());
  if (const auto known = glibc_.find(id); known != glibc_.end()) co_return known->second;
  const std::string name = "berth-" + settings_.instance + "..glibc";
  nlohmann::json spec = {{"name", name}, {"image", image}, {"command", {"/none"}}, {"netns", {{"nsmode", "none"}}}, {"labels", {{"berth.build", settings_.instance}}}};
  (void)co_await api_.call(verb::delete_, "/containers/" + name + "?force=true&v=true");
  const auto made = co_await api_.call(verb::post, "/containers/create", std::move(spec), std::chrono::minutes(5));
  if (made.has_error() || !made->ok()) co_return std::string();
  utsname machine{};
  ::uname(&machine);
  std::string version;
  const std::string triplet = std::string(machine.machine) + "-linux-gnu";
  for (const std::string& place : {"/usr/lib/" + triplet, "/lib/" + triplet, std::string("/usr/lib64"), std::string("/lib64"), std::string("/usr/lib"), std::string("/lib")}) {
    std::string file = place + "/libc.so.6";
    // Up to 2.33 that is a link to libc-2.31.so and the like.
    for (int links = 0; version.empty() && !file.empty() && links < 3; ++links) {
      const auto archive = co_await api_.call(verb::get, "/containers/" + name + "/archive?path=" + percent_encode(file));
      if (archive.has_error() || !archive->ok() || !archive->body.is_string()) break;
      const std::string& tar = archive->body.get_ref<const std::string&>();
      const std::string target = tar_link_target(tar);
      if (target.empty()) version = glibc_version_in(tar);
      file = target.empty() || target.starts_with('/') ? target : place + "/" + target;
    }
    if (!version.empty()) break;
  }
  (void)co_await api_.call(verb::delete_, "/containers/" + name + "?force=true&v=true");
  log_info("keeper.image_glibc", {{"image", image}, {"glibc", version}});
  glibc_[id] = version;
  co_return version;
}

}  // namespace berth::keeper
