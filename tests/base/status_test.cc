#include "base/status.h"

#include <gtest/gtest.h>

namespace trireme {
namespace status_test {

TEST(Status, CarriesItsIdInTheMessage) {
  const Status status = invalid("TRI-LOAD-007", "saw {}, allowed {}", 3, 2);
  EXPECT_EQ(message_of(status), "TRI-LOAD-007: saw 3, allowed 2");
  EXPECT_EQ(error_id(status), "TRI-LOAD-007");
  EXPECT_EQ(error_id(absl::InternalError("no id: here")), "");
}

TEST(Status, EscapesControlCharactersOfNamesAndKeepsIndentedLines) {
  EXPECT_EQ(message_of(invalid("TRI-RUN-011", "{} is not a folder", "no\nsuch\x1B[31m\xFF")),
            "TRI-RUN-011: no\\x0asuch\\x1b[31m\\xff is not a folder");
  EXPECT_EQ(message_of(invalid("TRI-RUN-011", "its last lines are:\n  {}", "a\n  b\r")),
            "TRI-RUN-011: its last lines are:\n  a\n  b\\x0d");
}

TEST(Status, CarriesTheFieldThatItBlames) {
  const Status plain = invalid("TRI-REQ-001", "top_p is 2, allowed are 0 to 1");
  EXPECT_EQ(field_of(plain), "");
  const Status status = with_field(plain, "top_p");
  EXPECT_EQ(field_of(status), "top_p");
  EXPECT_EQ(message_of(status), message_of(plain));
  EXPECT_EQ(field_of(with_field(ok_status(), "top_p")), "");
  EXPECT_TRUE(with_field(ok_status(), "top_p").ok());
}

TEST(Status, FromTheWireHasTheIdOnce) {
  EXPECT_EQ(message_of(status_from_wire("TRI-REQ-001", "TRI-REQ-001: no")), "TRI-REQ-001: no");
  EXPECT_EQ(message_of(status_from_wire("TRI-REQ-001", "no")), "TRI-REQ-001: no");
}

}  // namespace status_test
}  // namespace trireme
