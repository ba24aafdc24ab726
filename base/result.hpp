// How expected failures travel: Result<T> holds a value or an Error. Exceptions mean that the infrastructure is broken.
// One ErrorKind for all folders (not one enum per folder): every face of Berth maps the same few kinds, HTTP status and
// exit code alike, by one table each; what differs is the sentence.
#pragma once
#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace berth {

enum class ErrorKind {
  invalid,      // the request is malformed or breaks a rule
  denied,       // known who asks, may not
  not_found,    // no such thing, or not for this caller
  conflict,     // exists already, or is in a state that forbids it
  too_large,    // over a stated limit
  timeout,      // a peer missed its deadline
  unavailable,  // a needed part is not there now; trying again may help
  closed,       // the peer went away in order
  protocol,     // the peer broke its protocol
  internal,     // our own fault or the machine's (disk full, no descriptors)
};

// The stable lower-case name of a kind, as the HTTP API and --json print it.
std::string_view name_of(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  // one short, actionable sentence for the peer; never a secret
};

[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(error.message);
}

template <class T = void>
using Result = boost::system::result<T, Error>;

// An Error from errno: "MESSAGE: No such file or directory".
Error errno_error(std::string_view message, int errno_value);

}  // namespace berth
