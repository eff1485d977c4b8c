#include "base/flags.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace trireme {
namespace flags_test {

struct Options {
  int max_tokens = 256;
  bool caching = true;
  std::string model;
  int64_t memory = 0;
  int64_t length = 0;
  std::vector<int64_t> batch;
  std::vector<std::string> stop;
};

FlagSet flags_of(Options& options) {
  FlagSet flags("test");
  flags.add("max-tokens", &options.max_tokens, "longest answer");
  flags.add("enable-prefix-caching", &options.caching, "share prompts");
  flags.add("model", &options.model, "folder");
  flags.add_size("kv-memory", &options.memory, "bytes");
  flags.add_length("max-model-len", &options.length, "tokens");
  flags.add_list("batch", &options.batch, "sizes");
  flags.add("stop", &options.stop, "strings");
  flags.alias("-m", "model");
  return flags;
}

TEST(Flags, ParsesEveryTypeOfValue) {
  Options options;
  FlagSet flags = flags_of(options);
  const auto rest = flags.parse({"word",
                                 "-m",
                                 "dir",
                                 "--max-tokens=5",
                                 "--no-enable-prefix-caching",
                                 "--kv-memory",
                                 "1.5GiB",
                                 "--max-model-len",
                                 "32k",
                                 "--batch",
                                 "1,4,16",
                                 "--stop",
                                 "a",
                                 "--stop",
                                 "b",
                                 "--",
                                 "--x"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(*rest, (std::vector<std::string>{"word", "--x"}));
  EXPECT_EQ(options.model, "dir");
  EXPECT_EQ(options.max_tokens, 5);
  EXPECT_FALSE(options.caching);
  EXPECT_EQ(options.memory, 3ll << 29);
  EXPECT_EQ(options.length, 32768);
  EXPECT_EQ(options.batch, (std::vector<int64_t>{1, 4, 16}));
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));
}

TEST(Flags, AFlagBeatsTheEnvironmentWhichBeatsTheFile) {
  const std::string path = testing::TempDir() + "flags_test.toml";
  std::ofstream(path)
      << "max_tokens = 1\nmodel = \"from file\"\nkv-memory = \"1k\"\nstop = [\"x, y\", \"z\"]\n";
  ::setenv("TRIREME_MAX_TOKENS", "2", 1);
  ::setenv("TRIREME_MODEL", "from environment", 1);
  Options options;
  FlagSet flags = flags_of(options);
  const auto rest = flags.parse({"--config", path, "--max-tokens", "3"});
  ::unsetenv("TRIREME_MAX_TOKENS");
  ::unsetenv("TRIREME_MODEL");
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(options.max_tokens, 3);
  EXPECT_EQ(options.model, "from environment");
  EXPECT_EQ(options.memory, 1024);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"x, y", "z"}));
  EXPECT_EQ(flags.origin("max-tokens"), FlagOrigin::kFlag);
  EXPECT_EQ(flags.origin("model"), FlagOrigin::kEnvironment);
  EXPECT_EQ(flags.origin("kv-memory"), FlagOrigin::kFile);
  EXPECT_EQ(flags.origin("batch"), FlagOrigin::kDefault);
}

TEST(Flags, ReportsAllProblemsAtOnceAndNamesTheNearestFlag) {
  Options options;
  FlagSet flags = flags_of(options);
  const std::string message = message_of(
      flags.parse({"--max-token", "4", "--kv-memory", "lots", "--batch", "1,x", "--stop"})
          .status());
  EXPECT_NE(message.find("TRI-ARGS-001: unknown flag --max-token; did you mean --max-tokens?"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("TRI-ARGS-003: --kv-memory: \"lots\""), std::string::npos) << message;
  EXPECT_NE(message.find("TRI-ARGS-002: --stop needs a value"), std::string::npos) << message;
}

TEST(Flags, AnUnknownKeyOfTheFileIsAnErrorThatNamesTheNearest) {
  const std::string path = testing::TempDir() + "flags_test_bad.toml";
  std::ofstream(path) << "max_tokenz = 1\n";
  Options options;
  const std::string message = message_of(flags_of(options).parse({"--config", path}).status());
  EXPECT_NE(message.find("TRI-ARGS-005"), std::string::npos) << message;
  EXPECT_NE(message.find("\"max-tokens\""), std::string::npos) << message;
  const std::pair<const char*, const char*> broken[] = {
      {"max-tokens = 3\nstop = oh no\n", "line 2 is not TOML: stop = oh no; write KEY = VALUE"},
      {"max-tokens = 3\nstop = \"caf\xE9\"\n", "is not UTF-8 at byte 26"}};
  for (const auto& [text, words] : broken) {
    std::ofstream(path) << text;
    const std::string refusal = message_of(flags_of(options).parse({"--config", path}).status());
    EXPECT_NE(refusal.find(words), std::string::npos) << refusal;
  }
  for (const std::string& no_file : {std::string("/nonexistent"), testing::TempDir()}) {
    const Status status = flags_of(options).parse({"--config", no_file}).status();
    EXPECT_EQ(error_id(status), "TRI-ARGS-004");
    EXPECT_NE(message_of(status).find(no_file), std::string::npos);
    EXPECT_EQ(message_of(status).find("line 0"), std::string::npos);
  }
}

}  // namespace flags_test
}  // namespace trireme
