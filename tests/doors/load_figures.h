// Figures of a run of many streams: when tokens came, and whether all of them did. Owner: the load
// generator's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace trireme {

struct LoadOptions {
  std::string http;      // HOST:PORT of a gateway
  std::string zmq;       // endpoint of a coordinator
  std::string key;       // Bearer, if the gateway wants one
  std::string expected;  // file with the text of every complete answer
  int streams = 1'000;
  int max_tokens = 100;
  int connects_per_second = 500;
  int stop = 0;        // streams that stop reading after their first event
  bool leave = false;  // every stream leaves at a random phase
  int leave_within_ms = 300;
  int64_t seed = 1;
  int limit_s = 120;
};

// One stream, from its request to its end.
struct StreamRecord {
  TimeUs sent_us = 0;
  TimeUs last_us = 0;  // of the last event with text; 0: none
  std::string text;
  int64_t completion_tokens = -1;  // as the server counts them
  std::string failure;
  bool is_over = false;
  bool stops = false;  // reading
};

class LoadFigures {
 public:
  explicit LoadFigures(const LoadOptions& options) : options_(options) {}

  // New text of a stream.
  void text(StreamRecord& stream, const std::string& text, TimeUs now_us);
  void end(StreamRecord& stream);
  // One JSON object on one line.
  std::string report(const std::vector<StreamRecord>& streams, double cpu_s) const;

 private:
  const LoadOptions& options_;
  std::vector<TimeUs> first_us_;
  std::vector<TimeUs> gaps_us_;
};

// Runs the streams; a line of figures on standard output. Exit status 0, or 1 where the run could
// not be made at all.
int run_http_streams(const LoadOptions& options);
int run_zmq_streams(const LoadOptions& options);

// The prompt of stream `index`; its number is in it.
std::string prompt_of(int index);
double process_cpu_s();

}  // namespace trireme
