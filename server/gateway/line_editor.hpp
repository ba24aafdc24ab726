// What a terminal in raw mode needs, to show lines and to read one: the client sends keys as they are pressed and shows only what it is sent back.
#pragma once
#include <string>
#include <string_view>

namespace berth::server {

// Text for such a terminal: a carriage return before each '\n'.
std::string with_returns(std::string_view text);

class LineEditor {
 public:
  enum class State { typing, line, end };  // end: ^D on an empty line
  // Takes one byte and adds what the terminal shall show to `echo`. After `line` take() has the line. Other control characters are ignored.
  State type(char byte, std::string& echo);
  // The line with its '\n'; the next one begins.
  std::string take();

 private:
  void erase_last(std::string& echo);
  std::string line_;
};

}  // namespace berth::server
