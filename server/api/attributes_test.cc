#include "server/api/attributes.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace userprofile::api {
namespace {

using ::google::protobuf::Struct;
using ::testing::HasSubstr;

Struct Parse(const std::string& json) {
  Struct object;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok());
  return object;
}

// As JSON, so deep.
std::string Nested(int levels) {
  std::string json = "1";
  for (int i = 0; i < levels; ++i) {
    json = i % 2 == 0 ? absl::StrCat("[", json, "]")
                      : absl::StrCat("{\"a\":", json, "}");
  }
  return absl::StrCat("{\"a\":", json, "}");
}

TEST(AttributesTest, AreFineAsTheApiFileSays) {
  EXPECT_EQ(AttributesFault(Struct()), "");
  EXPECT_EQ(AttributesFault(Parse(
                R"({"streak":3,"a b":null,"тема":"тёмная\n",
                    "x":[1,{"y":true}],"z":-1.5e300})")),
            "");
  EXPECT_EQ(AttributesFault(Parse(Nested(7))), "");
  Struct most;
  for (int i = 0; i < 64; ++i) {
    (*most.mutable_fields())[absl::StrCat(std::string(62, 'k'), i)]
        .set_bool_value(true);
  }
  EXPECT_EQ(AttributesFault(most), "");
  // More bytes as a message than as JSON.
  Struct numbers;
  auto& list = *(*numbers.mutable_fields())["scores"].mutable_list_value();
  for (int i = 0; i < 4000; ++i) list.add_values()->set_number_value(1);
  EXPECT_EQ(AttributesFault(numbers), "");
}

TEST(AttributesTest, AreRefusedWithoutNamingWhatTheyHold) {
  const auto with = [](const std::string& key, const auto& set) {
    Struct object;
    set((*object.mutable_fields())[key]);
    return AttributesFault(object);
  };
  const auto yes = [](auto& value) { value.set_bool_value(true); };
  const auto text = [](const std::string& what) {
    return [what](auto& value) { value.set_string_value(what); };
  };
  EXPECT_THAT(with("", yes), HasSubstr("keys"));
  EXPECT_THAT(with(" ", yes), HasSubstr("keys"));
  EXPECT_THAT(with("a\n", yes), HasSubstr("keys"));
  EXPECT_THAT(with(std::string(65, 'k'), yes), HasSubstr("keys"));
  EXPECT_THAT(with(std::string("a\0b", 3), yes), HasSubstr("keys"));
  EXPECT_THAT(with("a", text(std::string("a\0b", 3))), HasSubstr("NUL"));
  EXPECT_THAT(with("a", text(std::string(20000, 'x'))), HasSubstr("16384"));
  EXPECT_THAT(with("a", [](auto&) {}), HasSubstr("no kind"));
  for (const double number : {std::numeric_limits<double>::infinity(),
                              -std::numeric_limits<double>::infinity(),
                              std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(
        with("a", [number](auto& value) { value.set_number_value(number); }),
        HasSubstr("numbers"));
  }
  EXPECT_THAT(AttributesFault(Parse(Nested(8))), HasSubstr("deep"));
  Struct inner;
  (*inner.mutable_fields())[std::string("a\0b", 3)].set_bool_value(true);
  EXPECT_THAT(
      with("a", [&](auto& value) { *value.mutable_struct_value() = inner; }),
      HasSubstr("NUL"));
  Struct many;
  for (int i = 0; i < 65; ++i) {
    (*many.mutable_fields())[absl::StrCat(i)].set_bool_value(true);
  }
  EXPECT_THAT(AttributesFault(many), HasSubstr("64 keys"));
}

}  // namespace
}  // namespace userprofile::api
