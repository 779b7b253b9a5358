#include "tests/sim/wire.hpp"

#include <algorithm>
#include <cstring>
#include <variant>

#include "common/wire.hpp"

namespace poold::sim {
namespace {

constexpr int tasks_field = 1, attempt_field = 2, outcome_field = 3, flag_field = 7;
constexpr int kind_field = 1, exit_code_field = 2;

std::size_t outcome_size(const Message& message) {
  return wire::varint_field_size(static_cast<std::uint64_t>(message.kind)) +
         wire::varint_field_size(static_cast<std::uint64_t>(message.exit_code));
}

bool read_outcome(std::string_view bytes, Message& message) {
  wire::Reader outcome(bytes);
  while (outcome.next()) {
    if (outcome.field == kind_field) message.kind = static_cast<core::OutcomeKind>(outcome.number);
    if (outcome.field == exit_code_field) message.exit_code = static_cast<int>(outcome.number);
  }
  return !outcome.broken();
}

bool read_message(std::string_view payload, Message& message) {
  wire::Reader frame(payload);
  if (!frame.next() || frame.type != wire::Type::bytes) return false;
  message.frame = static_cast<int>(frame.field);
  wire::Reader fields(frame.bytes);
  while (fields.next()) {
    if (fields.field == tasks_field) message.tasks.push_back(fields.number);
    if (fields.field == attempt_field) message.attempt = static_cast<std::uint32_t>(fields.number);
    if (fields.field == flag_field) message.flag = fields.number != 0;
    if (fields.field == outcome_field && !read_outcome(fields.bytes, message)) return false;
  }
  return !fields.broken();
}

}  // namespace

void Pipe::write(const Message& message) {
  std::size_t size = wire::varint_field_size(message.attempt) + wire::varint_field_size(message.flag);
  for (const core::Sequence task : message.tasks) size += 1 + wire::varint_size(task);
  const std::size_t outcome = outcome_size(message);
  if (outcome > 0) size += wire::bytes_field_size(outcome);
  char* out = append_envelope(bytes_, wire::bytes_field_size(size));
  out = wire::put_bytes_head(out, message.frame, size);
  for (const core::Sequence task : message.tasks) {
    *out++ = wire::key(tasks_field, wire::Type::varint);
    out = wire::put_varint(out, task);
  }
  out = wire::put_varint_field(out, attempt_field, message.attempt);
  if (outcome > 0) {
    out = wire::put_bytes_head(out, outcome_field, outcome);
    out = wire::put_varint_field(out, kind_field, static_cast<std::uint64_t>(message.kind));
    out = wire::put_varint_field(out, exit_code_field, static_cast<std::uint64_t>(message.exit_code));
  }
  wire::put_varint_field(out, flag_field, message.flag);
}

bool Pipe::read(std::size_t count, Random& random, FaultCounts& faults, std::vector<Message>& whole) {
  std::size_t done = 0;
  while (done < count && !broken_) {
    const bool all = random.chance(60);
    const std::span<char> space = reader_.prepare();
    const std::size_t piece =
        std::min({all ? count - done : 1 + random.below(count - done), space.size(), count - done});
    std::memcpy(space.data(), bytes_.data() + done, piece);
    reader_.commit(piece);
    done += piece;
    std::size_t frames = 0;
    for (FrameResult result = reader_.next();; result = reader_.next()) {
      const auto* frame = std::get_if<Frame>(&result);
      broken_ = std::holds_alternative<FrameError>(result);
      if (!frame) break;
      Message message;
      if (!read_message(frame->payload, message)) broken_ = true;
      if (broken_) break;
      whole.push_back(std::move(message));
      ++frames;
    }
    if (frames > 1) faults.count(Fault::frames_joined);
    if (reader_.partial() && !broken_) faults.count(Fault::frame_torn);
  }
  bytes_.erase(0, count);
  return !broken_;
}

}  // namespace poold::sim
