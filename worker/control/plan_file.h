// Plans from a file and results to one, for runs without a coordinator. A file is a sequence of
// records: 4 bytes of length (little-endian), then a frame of the worker door (proto/step_codec.h).
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include "base/status.h"
#include "proto/step_codec.h"
#include "worker/control/plan_source.h"
#include "worker/control/result_sink.h"

namespace trireme {

class PlanFileReader final : public PlanSource {
 public:
  // TRI-GRP-008: the file cannot be read.
  static StatusOr<std::unique_ptr<PlanFileReader>> open(const std::string& path);

  // TRI-GRP-009: a record is truncated, too long, or not a plan.
  StatusOr<Next> next(StepPlan& plan) override;

 private:
  explicit PlanFileReader(const std::string& path) : path_(path) {}

  const std::string path_;
  std::ifstream file_;
  StepCodec codec_;
  std::string frame_;
  CoordinatorMessage message_;
  int64_t records_ = 0;
};

// Writes such files: plans for a test, results of a run.
class RecordWriter {
 public:
  // TRI-GRP-010: the file cannot be written.
  static StatusOr<std::unique_ptr<RecordWriter>> create(const std::string& path);

  template <class Message>
  void write(const Message& message) {
    codec_.encode(message, frame_);
    write_frame();
  }
  // Hands everything written so far to the operating system. TRI-GRP-010.
  Status flush();

 private:
  explicit RecordWriter(const std::string& path) : path_(path) {}
  void write_frame();

  const std::string path_;
  std::ofstream file_;
  StepCodec codec_;
  std::string frame_;
};

// Writes results and, if requested, probes.
class ResultFile final : public ResultSink {
 public:
  ResultFile(std::unique_ptr<RecordWriter> writer, bool with_probes)
      : writer_(std::move(writer)), with_probes_(with_probes) {}

  void on_result(StepResult& result) override { writer_->write(result); }
  void on_probe(Probe& probe) override {
    if (with_probes_) writer_->write(probe);
  }
  Status flush() { return writer_->flush(); }

 private:
  std::unique_ptr<RecordWriter> writer_;
  const bool with_probes_;
};

}  // namespace trireme
