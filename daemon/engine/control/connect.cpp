#include "daemon/engine/control/connect.hpp"

#include <google/protobuf/util/json_util.h>

#include <cstdlib>

#include "common/strict_json.hpp"
#include "daemon/engine/control/json_complaint.hpp"

namespace poold::engine {
namespace pb = google::protobuf;

std::string_view name(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::not_found:
      return "not_found";
    case Code::already_exists:
      return "already_exists";
    case Code::permission_denied:
      return "permission_denied";
    case Code::resource_exhausted:
      return "resource_exhausted";
    case Code::failed_precondition:
      return "failed_precondition";
    case Code::unimplemented:
      return "unimplemented";
    case Code::internal:
      return "internal";
    case Code::unavailable:
      return "unavailable";
    case Code::deadline_exceeded:
      return "deadline_exceeded";
  }
  std::abort();
}

int http_status(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::failed_precondition:
      return 400;
    case Code::permission_denied:
      return 403;
    case Code::not_found:
      return 404;
    case Code::already_exists:
      return 409;
    case Code::resource_exhausted:
      return 429;
    case Code::internal:
      return 500;
    case Code::unimplemented:
      return 501;
    case Code::unavailable:
      return 503;
    case Code::deadline_exceeded:
      return 504;
  }
  std::abort();
}

std::string_view content_type(Format format) {
  switch (format) {
    case Format::json:
      return "application/json";
    case Format::proto:
      return "application/proto";
  }
  std::abort();
}

std::string quoted(std::string_view text) {
  constexpr std::size_t shown_max = 255;
  std::string result = "'" + std::string(text.substr(0, shown_max));
  return result += text.size() > shown_max ? "…'" : "'";
}

std::string error_body(const ConnectError& error) {
  std::string body = R"({"code":")";
  body += name(error.code);
  body += R"(","message":)";
  append_json_string(body, error.message);
  body += R"(,"details":[]})";
  return body;
}

std::optional<ConnectError> decode(Format format, std::string_view body, pb::Message& message) {
  if (format == Format::proto) {
    if (message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return std::nullopt;
    return ConnectError{Code::invalid_argument,
                        "body is not a " + message.GetDescriptor()->full_name() + " in application/proto"};
  }
  if (body.empty()) body = "{}";  // as a call without arguments is written by hand
  if (auto complaint = check_strict_json(body)) return ConnectError{Code::invalid_argument, *complaint};
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status = pb::util::JsonStringToMessage({body.data(), body.size()}, &message, options);
  if (status.ok()) return std::nullopt;
  const auto text = status.message();
  return ConnectError{Code::invalid_argument, readable_complaint({text.data(), text.size()})};
}

std::string to_json(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  // Fails only for values that JSON has no word for (a NaN in a typed result); those are refused where they
  // come in.
  if (!pb::util::MessageToJsonString(message, &text, options).ok()) return "{}";
  return text;
}

std::string encode(Format format, const pb::Message& message) {
  return format == Format::proto ? message.SerializeAsString() : to_json(message);
}

}  // namespace poold::engine
