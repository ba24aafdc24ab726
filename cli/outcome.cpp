#include "cli/outcome.hpp"

namespace berth::cli {
namespace {

struct KindRow {
  ErrorKind kind;
  ExitCode code;
};
constexpr KindRow kKinds[] = {
    {ErrorKind::invalid, ExitCode::invalid},       {ErrorKind::denied, ExitCode::denied},     {ErrorKind::not_found, ExitCode::not_found},
    {ErrorKind::conflict, ExitCode::conflict},     {ErrorKind::too_large, ExitCode::invalid}, {ErrorKind::timeout, ExitCode::try_again},
    {ErrorKind::unavailable, ExitCode::try_again}, {ErrorKind::closed, ExitCode::failed},     {ErrorKind::protocol, ExitCode::failed},
    {ErrorKind::internal, ExitCode::failed},
};

}  // namespace

ExitCode exit_code_of(ErrorKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row.code;
  }
  return ExitCode::failed;
}

ErrorKind kind_named(std::string_view name) {
  for (const KindRow& row : kKinds) {
    if (name_of(row.kind) == name) return row.kind;
  }
  return ErrorKind::internal;
}

}  // namespace berth::cli
