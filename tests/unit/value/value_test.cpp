// poold::Value: JSON in and out, what is refused instead of rounded, and its form in the protocol.
#include "client/cpp/poold/value.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "client/cpp/src/utf8.hpp"
#include "client/cpp/src/value_proto.hpp"

namespace poold {
namespace {

std::string refusal(std::string_view json) {
  try {
    Value::from_json(json);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Value, JsonComesBackCompactWithKeysInOrder) {
  const char* text = R"({"z": [1, 2.5, -3, true, null, "a\"\n\u00e9"], "a": {}, "l": []})";
  EXPECT_EQ(Value::from_json(text).to_json(), R"({"a":{},"l":[],"z":[1,2.5,-3,true,null,"a\"\n)"
                                              "é"
                                              R"("]})");
}

TEST(Value, WholeNumbersPrintWithoutExponent) {
  EXPECT_EQ(Value(9007199254740992).to_json(), "9007199254740992");
  EXPECT_EQ(Value::from_json("1e3").to_json(), "1000");
  EXPECT_EQ(Value(0.1).to_json(), "0.1");
}

TEST(Value, IntegersBeyondTwoToThe53AreRefusedNeverRounded) {
  EXPECT_EQ(Value::from_json("9007199254740992").as_integer(), Value::exact_integer_max);
  EXPECT_NE(refusal("9007199254740993").find("too large"), std::string::npos);
  EXPECT_NE(refusal("[-9007199254740993]").find("too large"), std::string::npos);
  EXPECT_NE(refusal("123456789012345678901234567890").find("too large"), std::string::npos);
  EXPECT_NE(refusal("1e999").find("too large"), std::string::npos);
  EXPECT_EQ(Value::from_json("1e300").as_number(), 1e300);
  EXPECT_THROW(Value(std::numeric_limits<std::int64_t>::max()), std::out_of_range);
}

TEST(Value, BrokenJsonNamesTheOffset) {
  EXPECT_NE(refusal("[1, 2").find("offset 5"), std::string::npos) << refusal("[1, 2");
  EXPECT_NE(refusal("1 2").find("offset"), std::string::npos);
  EXPECT_NE(refusal("").find("offset 0"), std::string::npos);
  EXPECT_NE(refusal("hello").find("offset"), std::string::npos);
  EXPECT_NE(refusal(std::string(100, '[') + std::string(100, ']')).find("offset"), std::string::npos);
}

TEST(Value, AskingForAnotherKindNamesBothKinds) {
  try {
    Value("x").as_number();
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "expected number, got string");
  }
  EXPECT_THROW(Value(1.5).as_integer(), std::out_of_range);
}

TEST(Value, SurvivesTheProtocol) {
  const Value value = Value::from_json(R"({"a":[1,"x",null,true,{"b":[[]]}],"c":-0.5})");
  google::protobuf::Value proto;
  to_proto(value, proto);
  google::protobuf::Value parsed;
  ASSERT_TRUE(parsed.ParseFromString(proto.SerializeAsString()));
  EXPECT_EQ(from_proto(parsed), value);
}

TEST(Value, WhatJsonCannotHoldIsRefusedBeforeItIsSent) {
  google::protobuf::Value proto;
  EXPECT_THROW(to_proto(std::numeric_limits<double>::quiet_NaN(), proto), std::invalid_argument);
  EXPECT_THROW(to_proto(Value("\xff"), proto), std::invalid_argument);
  EXPECT_THROW(to_proto(Value(Value::Map{{"\xc0\x80", 1}}), proto), std::invalid_argument);
  Value deep;
  for (int i = 0; i < value_depth_max; ++i) deep = Value::Map{{"k", deep}};
  EXPECT_NO_THROW(to_proto(deep, proto));
  EXPECT_TRUE(google::protobuf::Value().ParseFromString(proto.SerializeAsString()));
  EXPECT_THROW(to_proto(Value::List{deep}, proto), std::invalid_argument);
}

TEST(Utf8, MalformedBytesBecomeReplacementCharacters) {
  EXPECT_TRUE(is_utf8("a\u00e9\u20ac\U0001F600"));
  for (const char* bad :
       {"\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"})
    EXPECT_FALSE(is_utf8(bad));
  EXPECT_EQ(to_utf8("a\xff"
                    "b"),
            "a\uFFFD"
            "b");
}

}  // namespace
}  // namespace poold
