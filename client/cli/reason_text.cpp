#include "client/cli/reason_text.hpp"

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {

std::string reason_text(const v1::ExplainResponse::Reason& reason, Time now) {
  const std::string text = escaped_line(reason.text());
  if (!reason.has_until() || from_proto(reason.until()) <= now) return text;
  return text + " (in " + short_duration(from_proto(reason.until()) - now) + ")";
}

}  // namespace poold::cli
