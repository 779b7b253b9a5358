#include "daemon/worker/line_messages.hpp"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "client/cpp/src/function_caller.hpp"
#include "client/cpp/src/utf8.hpp"
#include "common/strict_json.hpp"

namespace poold::worker {
namespace {

constexpr std::size_t shown_max = 200;
constexpr std::size_t traceback_max = 64 * 1024;

std::string shown(std::string_view line) {
  std::string text = "it printed '" + to_utf8(line.substr(0, shown_max));
  return text += line.size() > shown_max ? "…'" : "'";
}

// protobuf writes < and > as escapes, for the sake of browsers. A shell script is better off without.
std::string without_needless_escapes(const std::string& json) {
  constexpr std::string_view less = "\\u003c", more = "\\u003e";
  std::string result;
  result.reserve(json.size() + 1);
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string_view here = std::string_view(json).substr(i, less.size());
    if (json[i] != '\\') {
      result += json[i];
    } else if (here == less || here == more) {
      result += here == less ? '<' : '>';
      i += less.size() - 1;
    } else {
      result += json[i++];
      result += json[i];  // what is escaped: perhaps a backslash
    }
  }
  return result;
}

}  // namespace

std::string to_line(const v1::ToWorker& message) {
  std::string line;
  // Fails only for what no frame can hold: text that is not UTF-8, numbers that JSON has no word for.
  if (!google::protobuf::util::MessageToJsonString(message, &line).ok()) line = "{}";
  return without_needless_escapes(line) += '\n';
}

std::variant<v1::FromWorker, std::string> from_line(std::string_view line) {
  if (const auto complaint = check_strict_json(line)) return shown(line) + ": " + *complaint;
  v1::FromWorker message;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status =
      google::protobuf::util::JsonStringToMessage({line.data(), line.size()}, &message, options);
  if (!status.ok()) return shown(line) + ": " + std::string(status.message().data(), status.message().size());
  switch (message.frame_case()) {
    case v1::FromWorker::kHello:
    case v1::FromWorker::kResult:
    case v1::FromWorker::kProgress:
      return message;
    case v1::FromWorker::kStarted:   // is said for it
    case v1::FromWorker::kOutput:    // its stderr is kept for it
    case v1::FromWorker::kReturned:  // it is never asked
    case v1::FromWorker::kBell:
    case v1::FromWorker::FRAME_NOT_SET:
      break;
  }
  return shown(line) + ": neither hello, result nor progress";
}

std::variant<v1::Outcome, std::string> function_outcome(v1::Outcome&& said) {
  v1::Outcome outcome;
  const v1::Outcome::Kind kind = said.kind();
  if (kind == v1::Outcome::RAISED || kind == v1::Outcome::REJECTED) {
    set_error(outcome, kind, said.error().type().empty() ? "Error" : said.error().type(),
              said.error().message());
    outcome.mutable_error()->set_traceback(to_utf8(said.error().traceback().substr(0, traceback_max)));
    return outcome;
  }
  if (kind != v1::Outcome::RETURNED && kind != v1::Outcome::CANCELLED)
    return "result.outcome.kind: expected RETURNED, RAISED, REJECTED or CANCELLED; got '" +
           v1::Outcome::Kind_Name(kind) + "'";
  outcome.set_kind(kind);
  if (kind == v1::Outcome::CANCELLED) return outcome;
  if (said.has_payload())
    *outcome.mutable_payload() = std::move(*said.mutable_payload());
  else if (said.has_value())
    *outcome.mutable_value() = std::move(*said.mutable_value());
  else
    outcome.mutable_value()->set_null_value(google::protobuf::NULL_VALUE);
  return outcome;
}

}  // namespace poold::worker
