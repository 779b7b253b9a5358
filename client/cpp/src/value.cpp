#include "client/cpp/poold/value.hpp"

#include <cmath>
#include <string>

namespace poold {
namespace {

// A reference of data's own kind, or an exception.
template <class T, class Data>
auto&& get(Data&& data, Value::Kind expected) {
  if (std::holds_alternative<T>(data)) return std::get<T>(std::forward<Data>(data));
  throw std::invalid_argument(std::string("expected ")
                                  .append(describe(expected))
                                  .append(", got ")
                                  .append(describe(static_cast<Value::Kind>(data.index()))));
}

}  // namespace

std::string_view describe(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "boolean";
    case Value::Kind::number:
      return "number";
    case Value::Kind::string:
      return "string";
    case Value::Kind::list:
      return "list";
    case Value::Kind::map:
      return "map";
  }
  return "";
}

bool Value::as_bool() const { return get<bool>(data_, Kind::boolean); }
double Value::as_number() const { return get<double>(data_, Kind::number); }
const std::string& Value::as_string() const& { return get<std::string>(data_, Kind::string); }
const Value::List& Value::as_list() const& { return get<List>(data_, Kind::list); }
const Value::Map& Value::as_map() const& { return get<Map>(data_, Kind::map); }

std::string Value::as_string() && { return get<std::string>(std::move(data_), Kind::string); }
Value::List Value::as_list() && { return get<List>(std::move(data_), Kind::list); }
Value::Map Value::as_map() && { return get<Map>(std::move(data_), Kind::map); }

std::int64_t Value::as_integer() const {
  const double number = as_number();
  if (!(std::abs(number) <= double{exact_integer_max}))
    throw std::out_of_range("number beyond 2^53 is no exact integer");
  if (number != std::trunc(number)) throw std::out_of_range("number is not whole");
  return static_cast<std::int64_t>(number);
}

}  // namespace poold
