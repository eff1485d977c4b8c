// The messages of `trireme chat`, and the reader of its lines.
#include "clients/cli/chat/conversation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "clients/cli/chat/line_reader.h"

namespace trireme {
namespace conversation_test {

TEST(Conversation, MessagesStandInOrderBehindTheSystemMessage) {
  Conversation conversation;
  conversation.add_user("Hi");
  conversation.add_assistant({{"role", "assistant"}, {"content", "Ho"}});
  conversation.set_system("Be brief.");
  conversation.set_system("Be kind.");
  EXPECT_EQ(conversation.json().dump(),
            R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},)"
            R"({"role":"assistant","content":"Ho"}])");
  EXPECT_EQ(conversation.num_messages(), 3u);
  conversation.set_system("");
  EXPECT_EQ(conversation.num_messages(), 2u);
}

TEST(Conversation, UndoRemovesAWholeTurnAndClearKeepsTheSystemMessage) {
  Conversation conversation;
  conversation.set_system("Be kind.");
  EXPECT_FALSE(conversation.undo());
  conversation.add_user("One");
  conversation.add_assistant({{"role", "assistant"}, {"content", "1"}});
  conversation.add_user("Two");
  conversation.add_assistant({{"role", "assistant"}, {"content", "2"}});
  EXPECT_TRUE(conversation.undo());
  EXPECT_EQ(conversation.json().back()["content"], "1");
  conversation.add_user("unanswered");
  EXPECT_TRUE(conversation.undo());
  EXPECT_EQ(conversation.num_messages(), 3u);
  conversation.clear();
  EXPECT_EQ(conversation.json().dump(), R"([{"role":"system","content":"Be kind."}])");
}

class LineReaderTest : public testing::Test {
 protected:
  LineReaderTest() {
    EXPECT_EQ(::pipe(input_), 0);
    EXPECT_EQ(::pipe(signals_), 0);
  }
  ~LineReaderTest() override {
    for (const int fd : {input_[0], signals_[0], signals_[1]}) ::close(fd);
    end();
  }
  void write(const std::string& text) {
    ASSERT_EQ(::write(input_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (input_[1] >= 0) ::close(input_[1]);
    input_[1] = -1;
  }

  int input_[2] = {-1, -1};
  int signals_[2] = {-1, -1};
};

TEST_F(LineReaderTest, LinesAreReturnedOneByOneAndTheLastNeedsNoEnd) {
  LineReader reader(input_[0], signals_[0]);
  write("one\ntwo\r\n\nthr");
  EXPECT_EQ(reader.next(1'000).value(), "one");
  EXPECT_EQ(reader.next(1'000).value(), "two");
  EXPECT_EQ(reader.next(1'000).value(), "");
  EXPECT_EQ(reader.next(0).value(), std::nullopt);
  write("ee");
  EXPECT_EQ(reader.next(0).value(), std::nullopt);
  EXPECT_FALSE(reader.at_end());
  end();
  EXPECT_EQ(reader.next(1'000).value(), "three");
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.next(0).value(), std::nullopt);
}

TEST_F(LineReaderTest, ASignalEndsTheWait) {
  LineReader reader(input_[0], signals_[0]);
  ASSERT_EQ(::write(signals_[1], "x", 1), 1);
  EXPECT_EQ(reader.next(60'000).value(), std::nullopt);
}

TEST_F(LineReaderTest, AnInputThatCannotBeReadIsAnError) {
  LineReader reader(input_[1], signals_[0]);  // the end for writing
  ::close(input_[0]);
  input_[0] = ::dup(signals_[0]);
  EXPECT_EQ(error_id(reader.next(1'000).status()), "TRI-RUN-001");
}

}  // namespace conversation_test
}  // namespace trireme
