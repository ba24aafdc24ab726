#include "base/table.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/human.hpp"

namespace berth {
namespace {

constexpr std::size_t kGap = 2;  // blanks between columns

std::string_view ansi_of(Tone tone) {
  switch (tone) {
    case Tone::plain: return "";
    case Tone::good: return "\x1b[32m";
    case Tone::warning: return "\x1b[33m";
    case Tone::bad: return "\x1b[31m";
    case Tone::dim: return "\x1b[2m";
    case Tone::strong: return "\x1b[1m";
  }
  return "";
}

}  // namespace

std::string toned(std::string_view text, Tone tone, const TextStyle& style) {
  if (!style.colour || tone == Tone::plain || text.empty()) return std::string(text);
  return std::string(ansi_of(tone)) + std::string(text) + "\x1b[0m";
}

void Table::add(std::vector<Cell> row) {
  BERTH_ASSERT(row.size() <= columns_.size());
  for (Cell& cell : row) cell.text = printable(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::widths(std::size_t limit) const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t widest = display_width(columns_[i].title);
    for (const auto& row : rows_) {
      if (i < row.size()) widest = std::max(widest, display_width(row[i].text));
    }
    widths.push_back(widest);
    total += widest + (i == 0 ? 0 : kGap);
  }
  // Narrow the widest column that may be cut, a column at a time, until the table fits or nothing gives way.
  while (limit != 0 && total > limit) {
    std::size_t victim = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const bool can_give = columns_[i].least != 0 && widths[i] > columns_[i].least;
      if (can_give && (victim == columns_.size() || widths[i] > widths[victim])) victim = i;
    }
    if (victim == columns_.size()) break;
    --widths[victim];
    --total;
  }
  return widths;
}

void Table::append_row(std::string& out, const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                       const TextStyle& style) const {
  std::size_t blanks = 0;  // owed before the next text, so that no line ends in blanks
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const std::string text = i < row.size() ? cut_to_width(row[i].text, widths[i]) : std::string();
    const std::size_t padding = widths[i] - std::min(widths[i], display_width(text));
    if (columns_[i].align == Align::right) blanks += padding;
    if (!text.empty()) {
      out.append(blanks, ' ');
      blanks = 0;
      out += toned(text, row[i].tone, style);
    }
    if (columns_[i].align == Align::left) blanks += padding;
    blanks += kGap;
  }
  out += style.newline;
}

std::string Table::render(const TextStyle& style) const {
  if (rows_.empty()) return {};
  const std::vector<std::size_t> column_widths = widths(style.width);
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(std::string(column.title), Tone::strong);
  std::string out;
  append_row(out, titles, column_widths, style);
  for (const auto& row : rows_) append_row(out, row, column_widths, style);
  return out;
}

std::string render_fields(const std::vector<std::pair<std::string, Cell>>& fields, const TextStyle& style) {
  std::size_t widest = 0;
  for (const auto& [name, cell] : fields) widest = std::max(widest, display_width(name));
  std::string out;
  for (const auto& [name, cell] : fields) {
    out += toned(name, Tone::strong, style);
    out.append(widest - display_width(name) + kGap, ' ');
    out += toned(printable(cell.text), cell.tone, style);
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out += style.newline;
  }
  return out;
}

}  // namespace berth
