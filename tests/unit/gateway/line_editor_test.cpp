#include "server/gateway/line_editor.hpp"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

struct Typed {
  std::string echo;
  LineEditor::State last = LineEditor::State::typing;
};

Typed type(LineEditor& editor, std::string_view keys) {
  Typed typed;
  for (const char key : keys) typed.last = editor.type(key, typed.echo);
  return typed;
}

TEST(LineEditor, EchoesAndEndsALine) {
  LineEditor editor;
  const Typed typed = type(editor, "yes\r");
  EXPECT_EQ(typed.last, LineEditor::State::line);
  EXPECT_EQ(typed.echo, "yes\r\n");
  EXPECT_EQ(editor.take(), "yes\n");
  EXPECT_EQ(editor.take(), "");
}

TEST(LineEditor, ErasesWholeCharacters) {
  LineEditor editor;
  EXPECT_EQ(type(editor, "a\xC3\xA9\x7F").echo, "a\xC3\xA9\b \b");
  EXPECT_EQ(type(editor, "\xE6\xBC\xA2\b").echo, "\xE6\xBC\xA2\b \b\b \b");  // two columns wide
  EXPECT_EQ(type(editor, "\b\b\b").echo, "\b \b");                             // no further than the beginning
  type(editor, "wrong\x15right\n");
  EXPECT_EQ(editor.take(), "right\n");
}

TEST(LineEditor, ControlCharactersAreNotTyped) {
  LineEditor editor;
  const Typed typed = type(editor, "a\x1B[2J\x07z\n");
  EXPECT_EQ(typed.echo, "a[2Jz\r\n");
  EXPECT_EQ(editor.take(), "a[2Jz\n");
}

TEST(LineEditor, EndOfInputOnAnEmptyLineOnly) {
  LineEditor editor;
  EXPECT_EQ(type(editor, "a\x04").last, LineEditor::State::typing);
  EXPECT_EQ(type(editor, "\x15\x04").last, LineEditor::State::end);
}

TEST(LineEditor, ALineHasALimit) {
  LineEditor editor;
  type(editor, std::string(200'000, 'x') + "\n");
  EXPECT_EQ(editor.take().size(), 64U * 1024 + 1);
}

}  // namespace
}  // namespace berth::server
