#include "client/cpp/src/result_reader.hpp"

#include <bit>

#include "client/cpp/src/task_proto.hpp"
#include "client/cpp/src/utf8.hpp"
#include "client/cpp/src/value_proto.hpp"
#include "common/frame_message.hpp"
#include "common/wire.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

[[noreturn]] void broken() { throw ProtocolError("the daemon sent a frame that cannot be read"); }

void check_end(const wire::Reader& fields) {
  if (fields.broken()) broken();
}

Value read_value(std::string_view bytes) {
  // A scalar is one field; what has structure is left to protobuf.
  wire::Reader field(bytes);
  if (!field.next()) {
    check_end(field);
    return {};
  }
  if (field.field == 1 && field.type == wire::Type::varint) return {};
  if (field.field == 2 && field.type == wire::Type::fixed64) return std::bit_cast<double>(field.number);
  if (field.field == 3 && field.type == wire::Type::bytes) {
    if (!is_utf8(field.bytes)) broken();
    return std::string(field.bytes);
  }
  if (field.field == 4 && field.type == wire::Type::varint) return field.number != 0;
  google::protobuf::Value proto;
  if (!parse_message(proto, bytes)) broken();
  return from_proto(proto);
}

void clear(Outcome& outcome) {
  outcome.kind = Outcome::Kind::unspecified;
  outcome.exit_code.reset();
  outcome.signal.reset();
  outcome.core_dumped = false;
  if (!outcome.value.is_null()) outcome.value = nullptr;
  outcome.payload.reset();
  outcome.error.reset();
  outcome.usage.reset();
}

// What is neither a number nor a value: taken from the generated message, field by field as task_proto does.
void read_rare_parts(std::string_view bytes, Outcome& outcome) {
  v1::Outcome proto;
  if (!parse_message(proto, bytes)) broken();
  outcome = from_proto(proto);
}

void read_outcome(std::string_view bytes, Outcome& outcome) {
  wire::Reader field(bytes);
  while (field.next()) {
    switch (field.field) {
      case v1::Outcome::kKindFieldNumber:
        outcome.kind = outcome_kind(static_cast<int>(field.number));
        break;
      case v1::Outcome::kExitCodeFieldNumber:
        outcome.exit_code = static_cast<std::int32_t>(field.number);
        break;
      case v1::Outcome::kSignalFieldNumber:
        outcome.signal = static_cast<std::int32_t>(field.number);
        break;
      case v1::Outcome::kCoreDumpedFieldNumber:
        outcome.core_dumped = field.number != 0;
        break;
      case v1::Outcome::kValueFieldNumber:
        outcome.value = read_value(field.bytes);
        break;
      default:
        return read_rare_parts(bytes, outcome);
    }
  }
  check_end(field);
}

void read_result(std::string_view bytes, StreamResult& result) {
  result.tag = 0;
  result.code = Code::ok;
  result.message.clear();
  result.attempt = 0;
  clear(result.outcome);
  wire::Reader field(bytes);
  while (field.next()) {
    if (field.field == v1::StreamResult::kTagFieldNumber) result.tag = field.number;
    if (field.field == v1::StreamResult::kAttemptFieldNumber)
      result.attempt = static_cast<std::uint32_t>(field.number);
    if (field.field == v1::StreamResult::kOutcomeFieldNumber && field.type == wire::Type::bytes)
      read_outcome(field.bytes, result.outcome);
  }
  check_end(field);
}

void read_refusal(const std::string& code, const std::string& message, StreamResult& result) {
  result.code = parse_code(code).value_or(Code::unknown);
  result.message = message;
  result.attempt = 0;
  clear(result.outcome);
}

}  // namespace

ServerFrameKind read_server_frame(std::string_view payload, StreamResult& result) {
  wire::Reader field(payload);
  if (!field.next() || field.type != wire::Type::bytes) {
    check_end(field);
    return ServerFrameKind::other;  // empty, or of a newer version
  }
  switch (field.field) {
    case v1::ServerFrame::kResultFieldNumber:
      read_result(field.bytes, result);
      return ServerFrameKind::result;
    case v1::ServerFrame::kRejectedFieldNumber: {
      v1::StreamRejected rejected;
      if (!parse_message(rejected, field.bytes)) broken();
      result.tag = rejected.tag();
      read_refusal(rejected.code(), rejected.message(), result);
      return ServerFrameKind::rejected;
    }
    case v1::ServerFrame::kErrorFieldNumber: {
      v1::StreamError error;
      if (!parse_message(error, field.bytes)) broken();
      read_refusal(error.code(), error.message(), result);
      return ServerFrameKind::error;
    }
    default:
      return ServerFrameKind::other;
  }
}

}  // namespace poold
