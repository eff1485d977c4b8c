// Many streams at once, over HTTP or over ZeroMQ: when their tokens come, and whether all of them
// do. One thread. Prints one line of figures (load_figures.cc).
//
//   stream_load --http HOST:PORT | --zmq tcp://... [--streams N] [--max-tokens N]
//
// --stop N: that many stop reading after their first event. --leave: each leaves at a random phase
// (before, in and after its request, streamed or not); a line `left NUMBER TIME_US` for each.
#include <cstdio>

#include "base/flags.h"
#include "tests/doors/load_figures.h"

int main(int argc, char** argv) {
  trireme::LoadOptions options;
  trireme::FlagSet flags("stream_load", "many streams at once");
  flags.add("http", &options.http, "HOST:PORT of a gateway");
  flags.add("zmq", &options.zmq, "endpoint of a coordinator");
  flags.add("key", &options.key, "API key");
  flags.add("expected", &options.expected, "file with the text of an answer");
  flags.add("streams", &options.streams, "how many");
  flags.add("max-tokens", &options.max_tokens, "of each");
  flags.add("rate", &options.connects_per_second, "connections per second");
  flags.add("stop", &options.stop, "streams that stop reading");
  flags.add("leave", &options.leave, "leave at a random phase");
  flags.add("leave-within-ms", &options.leave_within_ms, "latest time of leaving");
  flags.add("seed", &options.seed, "of the phases");
  flags.add("limit-s", &options.limit_s, "longest run");
  const auto rest = flags.parse(std::vector<std::string>(argv + 1, argv + argc));
  if (!rest.ok() || options.http.empty() == options.zmq.empty()) {
    std::fprintf(stderr, "%s\n", flags.help(true).c_str());
    return 2;
  }
  return options.http.empty() ? trireme::run_zmq_streams(options)
                              : trireme::run_http_streams(options);
}
