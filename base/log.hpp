// Structured logs, one line an event, in logfmt on stderr (journald adds the time when it is the reader):
//   2026-11-22T17:54:51.123Z info ssh.login user=ada key=SHA256:… from=127.0.0.1:4242
// Values are quoted where they hold a space, '=' or '"'; control characters are escaped, so that hostile input cannot
// forge a line. Never log a secret (token, code, private key, file content).
#pragma once
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace berth {

enum class LogLevel { debug, info, warn, error };

struct LogField {
  std::string_view name;
  std::string value;
  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const char* v) : name(n), value(v) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(v) {}
  LogField(std::string_view n, bool v) : name(n), value(v ? "true" : "false") {}
  template <std::integral T>
  LogField(std::string_view n, T v) : name(n), value(std::to_string(v)) {}
};

// Call once from main. `level` is "debug", "info", "warn" or "error".
void start_log(std::string_view level);

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
inline void log_debug(std::string_view event, std::initializer_list<LogField> fields = {}) { log(LogLevel::debug, event, fields); }
inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) { log(LogLevel::info, event, fields); }
inline void log_warn(std::string_view event, std::initializer_list<LogField> fields = {}) { log(LogLevel::warn, event, fields); }
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) { log(LogLevel::error, event, fields); }

}  // namespace berth
