#include "web/app_origin.hpp"

#include <gtest/gtest.h>

#include <map>

namespace berth::web {
namespace {

TEST(AppLabels, NameOneApplicationEach) {
  struct Case {
    Target target;
    std::string label;
  };
  for (const Case& c : {Case{{{"ada", "main"}, 8000}, "8000--main--ada"}, Case{{{"ada", "main"}, 0}, "jupyter--main--ada"}, Case{{{"a-b", "nlp-2"}, 1}, "1--nlp-2--a-b"},
                        Case{{{"a_b", "x-"}, 80}, "80--x-00--a-01b"}, Case{{{"a--b", "c"}, 80}, "80--c--a-00-b"}, Case{{{"a", "b--c"}, 80}, "80--b-00-c--a"},
                        Case{{{"a-0", "b-00"}, 80}, "80--b-0000--a-000"}, Case{{{"a-01b", "c"}, 65535}, "65535--c--a-0001b"}, Case{{{"a_-_", "c"}, 7}, "7--c--a-01-00-01"}}) {
    EXPECT_EQ(app_label(c.target), c.label);
    EXPECT_EQ(parse_app_label(c.label), c.target) << c.label;
  }
}

TEST(AppLabels, OfEveryNameAreUniqueAndReadBack) {
  const std::string_view letters = "a0-_";
  std::map<std::string, std::string> seen;
  for (int n = 0; n < 4 * 4 * 4 * 4 * 4; ++n) {
    std::string name = "x";
    for (int i = n; i > 0; i /= 4) name += letters[static_cast<std::size_t>(i % 4)];
    for (const Target& target : {Target{{name, "m"}, 5}, Target{{"m", name}, 5}}) {
      const std::string label = app_label(target).value();
      EXPECT_EQ(parse_app_label(label), target) << label;
      EXPECT_TRUE(seen.emplace(label, name).second) << label;
      EXPECT_EQ(label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos) << label;
      EXPECT_FALSE(label.ends_with('-'));
    }
  }
}

TEST(AppLabels, OthersAreNothing) {
  for (const std::string_view bad : {"", "8000", "8000--main", "08000--main--ada", "0--main--ada", "65536--main--ada", "x--main--ada", "8000--Main--ada", "8000----ada",
                                     "8000--main--", "8000--main--ada--x", "8000--main--a-00b", "8000--main--a_b", "-1--main--ada", "8000--1main--ada", "a.8000--main--ada",
                                     "Jupyter--main--ada", "jupyter--main--a-"})
    EXPECT_FALSE(parse_app_label(bad)) << bad;
}

TEST(AppLabels, AreNotLongerThanALabelMayBe) {
  const std::string name(27, 'n'), longer(28, 'n');
  EXPECT_TRUE(app_label({{name, name}, 80}));
  EXPECT_FALSE(app_label({{longer, longer}, 65535}));
  EXPECT_FALSE(app_label({{std::string(16, 'a') + std::string(16, '_'), "main"}, 80}));
}

TEST(Ports, HaveOneSpelling) {
  EXPECT_EQ(parse_port("8000"), 8000);
  for (const std::string_view bad : {"", "0", "00", "080", "65536", "-1", "+1", "8000x", " 1"}) EXPECT_FALSE(parse_port(bad)) << bad;
}

}  // namespace
}  // namespace berth::web
