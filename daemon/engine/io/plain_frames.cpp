#include "daemon/engine/io/plain_frames.hpp"

#include <limits>

#include "common/frame.hpp"
#include "common/wire.hpp"
#include "daemon/engine/io/limits.hpp"
#include "google/protobuf/struct.pb.h"
#include "poold/v1/stream.pb.h"
#include "poold/v1/worker.pb.h"

namespace poold::engine {
namespace {

using wire::Reader, wire::Type;

// Lists in lists beyond this are left to the generated messages, which have a limit of their own.
constexpr int depth_max = 16;

// Which fields were seen: a repeated one has a meaning (the last counts, messages are merged) that is not
// plain.
class Seen {
 public:
  bool first(std::uint32_t field) {
    if (field > 63 || (fields_ >> field & 1)) return false;
    fields_ |= std::uint64_t{1} << field;
    return true;
  }
  bool has(std::uint32_t field) const { return fields_ >> field & 1; }

 private:
  std::uint64_t fields_ = 0;
};

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

// ASCII without control characters, and not too long: a name as control/submission.cpp accepts it.
bool is_plain_name(std::string_view text) {
  if (text.size() > name_bytes_max) return false;
  for (const char c : text)
    if (c < 0x20 || c == 0x7f) return false;
  return true;
}

bool is_plain_list(std::string_view bytes, int depth);

// google.protobuf.Value: exactly one field, no struct.
bool is_plain_value(std::string_view bytes, int depth) {
  using google::protobuf::Value;
  Reader value(bytes);
  if (!value.next()) return false;
  switch (value.field) {
    case Value::kNullValueFieldNumber:
      if (value.type != Type::varint || value.number != 0) return false;
      break;
    case Value::kNumberValueFieldNumber:
      if (value.type != Type::fixed64) return false;
      break;
    case Value::kStringValueFieldNumber:
      if (value.type != Type::bytes || !is_ascii(value.bytes)) return false;
      break;
    case Value::kBoolValueFieldNumber:
      if (value.type != Type::varint || value.number > 1) return false;
      break;
    case Value::kListValueFieldNumber:
      if (value.type != Type::bytes || depth == 0 || !is_plain_list(value.bytes, depth - 1)) return false;
      break;
    default:
      return false;
  }
  return !value.next() && !value.broken();
}

bool is_plain_list(std::string_view bytes, int depth) {
  Reader list(bytes);
  while (list.next()) {
    const bool plain = list.field == google::protobuf::ListValue::kValuesFieldNumber &&
                       list.type == Type::bytes && is_plain_value(list.bytes, depth);
    if (!plain) return false;
  }
  return !list.broken();
}

bool is_plain_payload(std::string_view bytes, std::string_view* content_type = nullptr) {
  using v1::Payload;
  Reader payload(bytes);
  Seen seen;
  while (payload.next()) {
    if (payload.type != Type::bytes || !seen.first(payload.field)) return false;
    if (payload.field == Payload::kDataFieldNumber) continue;
    if (payload.field != Payload::kContentTypeFieldNumber || !is_plain_name(payload.bytes)) return false;
    if (content_type) *content_type = payload.bytes;
  }
  return !payload.broken();
}

bool is_plain_function(std::string_view bytes, PlainSubmit& submit) {
  using v1::Function;
  Reader function(bytes);
  Seen seen;
  bool has_arguments = false;
  while (function.next()) {
    if (function.type != Type::bytes) return false;
    switch (function.field) {
      case Function::kNameFieldNumber:
        if (!seen.first(function.field) || function.bytes.empty() || !is_plain_name(function.bytes))
          return false;
        break;
      case Function::kArgsFieldNumber:
        if (!is_plain_value(function.bytes, depth_max)) return false;
        has_arguments = true;
        break;
      case Function::kPayloadFieldNumber:
        if (!seen.first(function.field) || !is_plain_payload(function.bytes, &submit.content_type))
          return false;
        submit.has_payload = true;
        break;
      default:
        return false;
    }
  }
  const bool both = has_arguments && seen.has(Function::kPayloadFieldNumber);
  return !function.broken() && seen.has(Function::kNameFieldNumber) && !both;
}

// Protobuf cuts a longer number to 32 bits. That is not plain.
template <class Number>
bool take_number(const Reader& field, Number& number, std::uint64_t max) {
  if (field.type != Type::varint || field.number > max) return false;
  number = static_cast<Number>(field.number);
  return true;
}

bool read_spec(std::string_view bytes, PlainSubmit& submit) {
  using v1::TaskSpec;
  Reader spec(bytes);
  Seen seen;
  while (spec.next()) {
    if (!seen.first(spec.field)) return false;
    switch (spec.field) {
      case TaskSpec::kPoolFieldNumber:
        if (spec.type != Type::bytes || !is_plain_name(spec.bytes)) return false;
        submit.pool = spec.bytes;
        break;
      case TaskSpec::kNameFieldNumber:
        if (spec.type != Type::bytes || !is_plain_name(spec.bytes)) return false;
        break;
      case TaskSpec::kPriorityFieldNumber:
        // A negative one has its upper bits set.
        if (spec.type != Type::varint) return false;
        submit.priority = static_cast<std::int32_t>(spec.number);
        if (static_cast<std::uint64_t>(std::int64_t{submit.priority}) != spec.number) return false;
        break;
      case TaskSpec::kAttemptsFieldNumber:
        if (!take_number(spec, submit.attempts, attempts_max)) return false;
        break;
      case TaskSpec::kCrashAttemptsFieldNumber:
        if (!take_number(spec, submit.crash_attempts, attempts_max)) return false;
        break;
      case TaskSpec::kFunctionFieldNumber:
        if (spec.type != Type::bytes || !is_plain_function(spec.bytes, submit)) return false;
        break;
      default:
        return false;
    }
  }
  submit.spec = bytes;
  return !spec.broken() && seen.has(TaskSpec::kFunctionFieldNumber);
}

// The only field of the message, with this number; nothing if there is more or less.
std::optional<std::string_view> only_field(std::string_view message, int field) {
  Reader reader(message);
  const bool found =
      reader.next() && reader.field == static_cast<std::uint32_t>(field) && reader.type == Type::bytes;
  const std::string_view bytes = reader.bytes;
  if (!found || reader.next() || reader.broken()) return std::nullopt;
  return bytes;
}

bool read_outcome(std::string_view bytes, PlainResult& result) {
  using v1::Outcome;
  Reader outcome(bytes);
  Seen seen;
  std::uint32_t number = 0;
  while (outcome.next()) {
    if (!seen.first(outcome.field)) return false;
    switch (outcome.field) {
      case Outcome::kKindFieldNumber:
        if (!take_number(outcome, number, Outcome::Kind_MAX)) return false;
        result.kind = static_cast<core::OutcomeKind>(number);
        break;
      case Outcome::kExitCodeFieldNumber:
        if (!take_number(outcome, result.exit_code, std::numeric_limits<std::int32_t>::max())) return false;
        break;
      case Outcome::kSignalFieldNumber:
        if (!take_number(outcome, number, std::numeric_limits<std::int32_t>::max())) return false;
        break;
      case Outcome::kValueFieldNumber:
        if (outcome.type != Type::bytes || !is_plain_value(outcome.bytes, depth_max)) return false;
        break;
      case Outcome::kPayloadFieldNumber:
        if (outcome.type != Type::bytes || !is_plain_payload(outcome.bytes)) return false;
        break;
      default:
        return false;
    }
  }
  result.outcome = bytes;
  return !outcome.broken();
}

}  // namespace

std::optional<PlainSubmit> read_plain_submit(std::string_view frame) {
  using v1::StreamSubmit;
  const auto bytes = only_field(frame, v1::ClientFrame::kSubmitFieldNumber);
  if (!bytes) return std::nullopt;
  PlainSubmit result;
  Reader submit(*bytes);
  Seen seen;
  while (submit.next()) {
    if (!seen.first(submit.field)) return std::nullopt;
    if (submit.field == StreamSubmit::kTagFieldNumber && submit.type == Type::varint)
      result.tag = submit.number;
    else if (submit.field != StreamSubmit::kTaskFieldNumber || submit.type != Type::bytes ||
             !read_spec(submit.bytes, result))
      return std::nullopt;
  }
  if (submit.broken() || !seen.has(StreamSubmit::kTaskFieldNumber)) return std::nullopt;
  return result;
}

std::optional<PlainResult> read_plain_result(std::string_view frame) {
  using v1::WorkerResult;
  const auto bytes = only_field(frame, v1::FromWorker::kResultFieldNumber);
  if (!bytes) return std::nullopt;
  PlainResult result;
  Reader reader(*bytes);
  Seen seen;
  while (reader.next()) {
    if (!seen.first(reader.field)) return std::nullopt;
    if (reader.field == WorkerResult::kTaskFieldNumber && reader.type == Type::varint)
      result.task = reader.number;
    else if (reader.field == WorkerResult::kAttemptFieldNumber) {
      if (!take_number(reader, result.attempt, std::numeric_limits<std::uint32_t>::max()))
        return std::nullopt;
    } else if (reader.field != WorkerResult::kOutcomeFieldNumber || reader.type != Type::bytes ||
               !read_outcome(reader.bytes, result)) {
      return std::nullopt;
    }
  }
  if (reader.broken()) return std::nullopt;
  return result;
}

bool is_plain_bell(std::string_view frame) {
  constexpr char bell[] = {wire::key(v1::FromWorker::kBellFieldNumber, Type::bytes), 0};
  return frame == std::string_view(bell, sizeof bell);
}

bool append_task(std::string& out, const OutgoingTask& task) {
  using v1::WorkerTask;
  const std::size_t size = wire::varint_field_size(task.task) + wire::varint_field_size(task.attempt) +
                           (task.id.empty() ? 0 : wire::bytes_field_size(task.id.size())) +
                           wire::bytes_field_size(task.spec.size()) +
                           wire::varint_field_size(task.want_started);
  char* bytes = append_envelope(out, wire::bytes_field_size(size));
  if (!bytes) return false;
  bytes = wire::put_bytes_head(bytes, v1::ToWorker::kTaskFieldNumber, size);
  bytes = wire::put_varint_field(bytes, WorkerTask::kTaskFieldNumber, task.task);
  bytes = wire::put_varint_field(bytes, WorkerTask::kAttemptFieldNumber, task.attempt);
  if (!task.id.empty()) bytes = wire::put_bytes_field(bytes, WorkerTask::kIdFieldNumber, task.id);
  bytes = wire::put_bytes_field(bytes, WorkerTask::kSpecFieldNumber, task.spec);
  wire::put_varint_field(bytes, WorkerTask::kWantStartedFieldNumber, task.want_started);
  return true;
}

bool append_result(std::string& out, std::uint64_t tag, std::uint32_t attempt, std::string_view outcome) {
  using v1::StreamResult;
  const std::size_t size = wire::varint_field_size(tag) + wire::varint_field_size(attempt) +
                           wire::bytes_field_size(outcome.size());
  char* bytes = append_envelope(out, wire::bytes_field_size(size));
  if (!bytes) return false;
  bytes = wire::put_bytes_head(bytes, v1::ServerFrame::kResultFieldNumber, size);
  bytes = wire::put_varint_field(bytes, StreamResult::kTagFieldNumber, tag);
  bytes = wire::put_varint_field(bytes, StreamResult::kAttemptFieldNumber, attempt);
  wire::put_bytes_field(bytes, StreamResult::kOutcomeFieldNumber, outcome);
  return true;
}

}  // namespace poold::engine
