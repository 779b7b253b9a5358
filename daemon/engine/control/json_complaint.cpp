#include "daemon/engine/control/json_complaint.hpp"

#include <google/protobuf/descriptor.h>

#include <utility>

namespace poold::engine {
namespace {

constexpr std::string_view type_prefix = "type.googleapis.com/";

// on_parent_failure as the JSON has it: onParentFailure.
std::string json_path(std::string_view path) {
  std::string out;
  bool upper = false;
  for (const char c : path) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out.push_back(upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    upper = false;
  }
  return out.empty() ? "body" : out;
}

std::string enum_values(const google::protobuf::EnumDescriptor& type) {
  std::string all;
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string& value = type.value(i)->name();
    if (!value.ends_with("_UNSPECIFIED")) all += (all.empty() ? "" : ", ") + value;
  }
  return all;
}

// What stands after "is not".
std::string accepted(std::string_view type) {
  constexpr std::pair<std::string_view, const char*> scalars[] = {
      {"TYPE_INT32", "a whole number from -2147483648 to 2147483647"},
      {"TYPE_UINT32", "a whole number from 0 to 4294967295"},
      {"TYPE_INT64", "a whole number"},
      {"TYPE_UINT64", "a whole number, not negative"},
      {"TYPE_STRING", "a text"},
      {"TYPE_BYTES", "a text in base64"},
      {"TYPE_BOOL", "true or false"},
      {"TYPE_FLOAT", "a number"},
      {"TYPE_DOUBLE", "a number"},
  };
  for (const auto& [name, words] : scalars)
    if (type == name) return words;
  if (!type.starts_with(type_prefix)) return "a " + std::string(type);
  const std::string name(type.substr(type_prefix.size()));
  const auto* values = google::protobuf::DescriptorPool::generated_pool()->FindEnumTypeByName(name);
  return values ? "one of " + enum_values(*values) : "an object";
}

// Of these protobuf gives a reason of its own in place of the value.
const char* time_form(std::string_view type) {
  if (type.ends_with("protobuf.Duration")) return "not a duration (accepted: seconds, such as \"1.5s\")";
  if (type.ends_with("protobuf.Timestamp"))
    return "not a time (accepted: RFC 3339, such as \"2030-01-31T12:00:00Z\")";
  return nullptr;
}

}  // namespace

std::string readable_complaint(std::string_view text) {
  constexpr std::string_view head_end = "): invalid value ";
  constexpr std::string_view type_begin = " for type ";
  constexpr std::size_t value_shown_max = 255;
  const std::size_t head = text.find(head_end);
  const std::size_t tail = text.rfind(type_begin);
  const bool understood = text.starts_with('(') && head != text.npos && tail != text.npos && tail > head;
  if (!understood) return std::string(text);
  const std::string path = json_path(text.substr(1, head - 1));
  const std::string_view type = text.substr(tail + type_begin.size());
  if (const char* form = time_form(type)) return path + ": " + form;
  const std::size_t value_at = head + head_end.size();
  std::string value(text.substr(value_at, tail - value_at));
  if (value.size() > value_shown_max) value = "the value";
  return path + ": " + value + " is not " + accepted(type);
}

}  // namespace poold::engine
