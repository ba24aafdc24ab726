// How a command of `berth` ends: well, or with a Failure, that is a sentence for the person and an exit code for the script.
#pragma once
#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::cli {

// What scripts may rely on; printed by `berth --help`, listed in docs/admin.md.
enum class ExitCode : int {
  done = 0,
  failed = 1,       // berthd tried and could not, or the answer to a question was no
  usage = 2,        // arguments that make no sense; a question with nobody to ask
  unreachable = 3,  // no berthd at the socket, no permission to open it, or the connection broke
  not_found = 4,
  conflict = 5,
  denied = 6,
  invalid = 7,
  try_again = 8,    // a part of Berth is away or too slow
};

struct ExitCodeRow {
  ExitCode code;
  std::string_view meaning;
};
inline constexpr ExitCodeRow kExitCodes[] = {
    {ExitCode::done, "done"},
    {ExitCode::failed, "berthd could not do it, or you answered no"},
    {ExitCode::usage, "wrong arguments, or a question with nobody to ask (give --yes)"},
    {ExitCode::unreachable, "berthd cannot be reached, or the connection broke"},
    {ExitCode::not_found, "no such user, key, session or workspace"},
    {ExitCode::conflict, "exists already, or is in a state that forbids it"},
    {ExitCode::denied, "not allowed"},
    {ExitCode::invalid, "a value that berthd or a file check refuses"},
    {ExitCode::try_again, "a part of Berth is away or too slow: try again"},
};

struct Failure {
  ExitCode code = ExitCode::failed;
  Error error;
};

[[noreturn]] inline void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error(failure.error.message);
}

template <class T = void>
using Outcome = boost::system::result<T, Failure>;

// The exit code of an error that berthd answered, by its kind.
ExitCode exit_code_of(ErrorKind kind);
// The inverse of berth::name_of(ErrorKind); internal for a name it does not know.
ErrorKind kind_named(std::string_view name);
inline Failure failure_of(Error error) {
  const ExitCode code = exit_code_of(error.kind);
  return {code, std::move(error)};
}
inline Failure usage_failure(std::string message) { return {ExitCode::usage, {ErrorKind::invalid, std::move(message)}}; }

}  // namespace berth::cli
