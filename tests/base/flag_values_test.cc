#include "base/flag_values.h"

#include <gtest/gtest.h>

namespace trireme {
namespace flag_values_test {

TEST(FlagValues, SizesAreBytesWithABinaryOrDecimalUnit) {
  EXPECT_EQ(*parse_size("4096"), 4096);
  EXPECT_EQ(*parse_size("512MiB"), int64_t{512} << 20);
  EXPECT_EQ(*parse_size("80GiB"), int64_t{80} << 30);
  EXPECT_EQ(*parse_size("1.5g"), int64_t{3} << 29);
  EXPECT_EQ(*parse_size("2kb"), 2000);
  EXPECT_EQ(*parse_size("1TB"), 1'000'000'000'000);
}

TEST(FlagValues, LengthsTakeTheBinarySuffixesKAndM) {
  EXPECT_EQ(*parse_length("4096"), 4096);
  EXPECT_EQ(*parse_length("32k"), 32768);
  EXPECT_EQ(*parse_length("1m"), 1 << 20);
  EXPECT_EQ(error_id(parse_length("1g").status()), "TRI-ARGS-003");
}

TEST(FlagValues, TextThatIsNotANumberIsRefusedAndQuoted) {
  for (const std::string text : {"", "lots", "-1", "1x", "1 k", "9e18", "nan", "inf"}) {
    const Status status = parse_size(text).status();
    EXPECT_EQ(error_id(status), "TRI-ARGS-003") << text;
    EXPECT_NE(message_of(status).find("\"" + text + "\""), std::string::npos);
  }
}

TEST(FlagValues, NumbersFitTheirType) {
  EXPECT_EQ(*parse_number<int>("-2147483648"), INT32_MIN);
  EXPECT_EQ(*parse_number<double>("1e-3"), 0.001);
  EXPECT_EQ(error_id(parse_number<int>("2147483648").status()), "TRI-ARGS-003");
  EXPECT_EQ(error_id(parse_number<uint64_t>("-1").status()), "TRI-ARGS-003");
  EXPECT_EQ(error_id(parse_number<int>("1.5").status()), "TRI-ARGS-003");
  EXPECT_EQ(error_id(parse_number<int>("").status()), "TRI-ARGS-003");
}

TEST(FlagValues, ANumberThatDoesNotFitIsRefusedWithTheRange) {
  EXPECT_EQ(message_of(parse_number<int>("2147483648").status()),
            "TRI-ARGS-003: 2147483648 is out of range, allowed are -2147483648 to 2147483647");
  EXPECT_EQ(message_of(parse_number<uint64_t>("-1").status()),
            "TRI-ARGS-003: -1 is out of range, allowed are 0 to 18446744073709551615");
  for (const std::string text : {"18446744073709551616", "1e300", "1e999", "inf", "-inf"}) {
    EXPECT_NE(message_of(parse_number<uint64_t>(text).status()).find("is out of range"),
              std::string::npos)
        << text;
  }
  EXPECT_EQ(*parse_number<uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(*parse_number<int64_t>("-9223372036854775808"), INT64_MIN);
}

TEST(FlagValues, AnIntegerMayHaveAPointOrAnExponent) {
  EXPECT_EQ(*parse_number<int>("8.0"), 8);
  EXPECT_EQ(*parse_number<int>("-1e3"), -1000);
  for (const std::string text : {"8.5", "x", "8x", "nan", " 8", "1,5"}) {
    EXPECT_NE(message_of(parse_number<int>(text).status()).find("is not a whole number"),
              std::string::npos)
        << text;
  }
}

TEST(FlagValues, AFractionIsFinite) {
  for (const std::string text : {"nan", "inf", "-inf", "1,5", "", "1e999"}) {
    EXPECT_EQ(error_id(parse_number<double>(text).status()), "TRI-ARGS-003") << text;
  }
}

TEST(FlagValues, SwitchesTakeFourWordsPerState) {
  for (const std::string text : {"true", "1", "yes", "on"}) EXPECT_TRUE(*parse_switch(text));
  for (const std::string text : {"false", "0", "no", "off"}) EXPECT_FALSE(*parse_switch(text));
  EXPECT_EQ(error_id(parse_switch("maybe").status()), "TRI-ARGS-003");
}

}  // namespace flag_values_test
}  // namespace trireme
