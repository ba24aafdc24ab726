// berth status, berth backup
#include <filesystem>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {

using nlohmann::json;

Outcome<> show_status(const Invocation&, const Context& context) {
  const Outcome<json> status = context.api.get("/status");
  if (!status) return status.error();
  print_answer(context, *status, views::status(*status, context.streams.style));
  return {};
}

Outcome<> backup(const Invocation& given, const Context& context) {
  if (context.files == nullptr) return usage_failure("a backup is made on the machine itself: sudo berth backup FILE");
  const std::string file = given["FILE"];
  const auto fill = [&](const UnixHttp::Sink& sink) { return context.api.download("/backup", sink); };
  const Outcome<std::uint64_t> size = context.files->write_store(file, given.has("--force"), fill);
  if (!size) return size.error();
  std::error_code ignored;
  print_answer(context, {{"file", std::filesystem::absolute(file, ignored).string()}, {"bytes", *size}},
               "wrote " + printable(file) + ", " + human_bytes(*size) + "\n");
  return {};
}

}  // namespace berth::cli
