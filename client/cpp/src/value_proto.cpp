#include "client/cpp/src/value_proto.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "client/cpp/src/utf8.hpp"

namespace poold {
namespace {

void write(const Value& value, google::protobuf::Value& proto, int depth);

const std::string& checked(const std::string& text) {
  if (!is_utf8(text)) throw std::invalid_argument("string that is not UTF-8: pass it as bytes");
  return text;
}

void write_list(const Value::List& list, google::protobuf::ListValue& proto, int depth) {
  proto.clear_values();
  proto.mutable_values()->Reserve(static_cast<int>(list.size()));
  for (const Value& entry : list) write(entry, *proto.add_values(), depth + 1);
}

void write_map(const Value::Map& map, google::protobuf::Struct& proto, int depth) {
  proto.clear_fields();
  for (const auto& [key, entry] : map) write(entry, (*proto.mutable_fields())[checked(key)], depth + 1);
}

void write(const Value& value, google::protobuf::Value& proto, int depth) {
  if (depth > value_depth_max)
    throw std::invalid_argument("value nested deeper than " + std::to_string(value_depth_max));
  switch (value.kind()) {
    case Value::Kind::null:
      proto.set_null_value(google::protobuf::NULL_VALUE);
      return;
    case Value::Kind::boolean:
      proto.set_bool_value(value.as_bool());
      return;
    case Value::Kind::number:
      if (!std::isfinite(value.as_number())) throw std::invalid_argument("number that is not finite");
      proto.set_number_value(value.as_number());
      return;
    case Value::Kind::string:
      proto.set_string_value(checked(value.as_string()));
      return;
    case Value::Kind::list:
      write_list(value.as_list(), *proto.mutable_list_value(), depth);
      return;
    case Value::Kind::map:
      write_map(value.as_map(), *proto.mutable_struct_value(), depth);
      return;
  }
}

}  // namespace

Value from_proto(const google::protobuf::Value& proto) {
  using google::protobuf::Value;
  switch (proto.kind_case()) {
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      return nullptr;
    case Value::kBoolValue:
      return proto.bool_value();
    case Value::kNumberValue:
      return proto.number_value();
    case Value::kStringValue:
      return proto.string_value();
    case Value::kListValue: {
      poold::Value::List list;
      list.reserve(static_cast<std::size_t>(proto.list_value().values_size()));
      for (const Value& entry : proto.list_value().values()) list.push_back(from_proto(entry));
      return list;
    }
    case Value::kStructValue: {
      poold::Value::Map map;
      for (const auto& [key, entry] : proto.struct_value().fields()) map.emplace(key, from_proto(entry));
      return map;
    }
  }
  return nullptr;
}

void to_proto(const Value& value, google::protobuf::Value& proto) { write(value, proto, 0); }

}  // namespace poold
