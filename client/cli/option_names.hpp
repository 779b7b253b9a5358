// The daemon's errors name fields of the contract; who typed options is told which of them it was.
#pragma once

#include <string>
#include <string_view>

namespace poold::cli {

// "retryOn[0]: ..." becomes "--retry-on: ...", "limits[db]: ..." becomes "--limit db: ...". What begins with
// no field of a submission, or of cron add's schedule, stays as it is.
std::string with_option_name(const std::string& text);

}  // namespace poold::cli
