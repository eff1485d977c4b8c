#include "worker/control/plan_file.h"

#include <array>
#include <utility>
#include <variant>

namespace trireme {
namespace {

constexpr uint32_t kMaxRecordBytes = 16 << 20;

}  // namespace

StatusOr<std::unique_ptr<PlanFileReader>> PlanFileReader::open(const std::string& path) {
  std::unique_ptr<PlanFileReader> reader(new PlanFileReader(path));
  reader->file_.open(path, std::ios::binary);
  if (!reader->file_) {
    return invalid("TRI-GRP-008",
                   "cannot read the plans in {}; name a file of length-prefixed step plans",
                   path);
  }
  return reader;
}

StatusOr<PlanSource::Next> PlanFileReader::next(StepPlan& plan) {
  std::array<unsigned char, 4> prefix;
  file_.read(reinterpret_cast<char*>(prefix.data()), prefix.size());
  if (file_.gcount() == 0) return Next::kEnd;
  const uint32_t bytes =
      prefix[0] | prefix[1] << 8 | prefix[2] << 16 | static_cast<uint32_t>(prefix[3]) << 24;
  const auto broken = [&](const std::string& problem) {
    return invalid("TRI-GRP-009",
                   "{}, record {}: {}; write the file anew with this release",
                   path_,
                   records_,
                   problem);
  };
  if (file_.gcount() < 4) return broken("it ends inside a length");
  if (bytes > kMaxRecordBytes) return broken(format_text("its length of {} is over 16 MiB", bytes));
  frame_.resize(bytes);
  file_.read(frame_.data(), bytes);
  if (file_.gcount() < static_cast<std::streamsize>(bytes)) return broken("it is cut off");
  const Status decoded = codec_.decode(frame_, message_);
  if (!decoded.ok()) return broken(message_of(decoded));
  auto* read = std::get_if<StepPlan>(&message_);
  if (read == nullptr) return broken("it is no step plan");
  std::swap(plan, *read);
  ++records_;
  return Next::kPlan;
}

StatusOr<std::unique_ptr<RecordWriter>> RecordWriter::create(const std::string& path) {
  std::unique_ptr<RecordWriter> writer(new RecordWriter(path));
  writer->file_.open(path, std::ios::binary | std::ios::trunc);
  RETURN_IF_ERROR(writer->flush());
  return writer;
}

Status RecordWriter::flush() {
  file_.flush();
  if (file_) return ok_status();
  return unavailable("TRI-GRP-010",
                     "cannot write {}; check the folder, its permissions and the space left",
                     path_);
}

void RecordWriter::write_frame() {
  const auto bytes = static_cast<uint32_t>(frame_.size());
  const char prefix[4] = {static_cast<char>(bytes),
                          static_cast<char>(bytes >> 8),
                          static_cast<char>(bytes >> 16),
                          static_cast<char>(bytes >> 24)};
  file_.write(prefix, sizeof prefix);
  file_.write(frame_.data(), static_cast<std::streamsize>(frame_.size()));
}

}  // namespace trireme
