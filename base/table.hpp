// Tables for terminals: aligned columns, cut to the terminal's width, colours only when asked for. Used by `berth` and by the commands
// that the gateway answers over SSH (`ssh box berth key list`), so that both look alike.
//
//   Table table({{"NAME"}, {"STATE"}, {"COMMENT", Align::left, 8}});
//   table.add({"ada", {"active", Tone::good}, "laptop"});
//   std::string text = table.render({.width = 80, .colour = true});
//
// Cells are made printable (base/human.hpp), so hostile text cannot move the cursor or forge a row.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

enum class Tone { plain, good, warning, bad, dim, strong };
enum class Align { left, right };

struct TextStyle {
  std::size_t width = 0;            // columns of the terminal; 0: as wide as needed (not a terminal)
  bool colour = false;              // ANSI colours
  std::string_view newline = "\n";  // "\r\n" on a terminal in raw mode (an SSH channel with a pty)
};

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
  Cell(const char* value) : text(value) {}                                 // NOLINT(google-explicit-constructor)
  Cell(std::string value, Tone t = Tone::plain) : text(std::move(value)), tone(t) {}  // NOLINT(google-explicit-constructor)
};

struct Column {
  std::string_view title;
  Align align = Align::left;
  std::size_t least = 0;  // may be cut down to this many columns on a narrow terminal; 0: never cut
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // One cell for each column; missing ones are empty.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  // The title line and one line for each row; no trailing blanks. Without rows: the empty string.
  std::string render(const TextStyle& style) const;

 private:
  std::vector<std::size_t> widths(std::size_t limit) const;
  void append_row(std::string& out, const std::vector<Cell>& row, const std::vector<std::size_t>& widths, const TextStyle& style) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// Names and values, one pair a line, values aligned: for `berth user show` and `berth status`.
std::string render_fields(const std::vector<std::pair<std::string, Cell>>& fields, const TextStyle& style);
// `text` in the colour of a tone; as it is without colour.
std::string toned(std::string_view text, Tone tone, const TextStyle& style);

}  // namespace berth
