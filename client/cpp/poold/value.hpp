// poold::Value: a JSON value, as typed arguments and results are.
//
// Numbers are doubles, as in the protocol: integers from -2^53 to 2^53 are exact, and asking for an integer
// that is not there, or putting one outside that range in, throws std::out_of_range instead of rounding.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace poold {

class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::map<std::string, Value>;
  enum class Kind { null, boolean, number, string, list, map };  // in the order of Data's alternatives

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(std::floating_point auto value) : data_(static_cast<double>(value)) {}
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) Value(Integer value) : data_(static_cast<double>(value)) {
    if (std::cmp_less(value, -exact_integer_max) || std::cmp_greater(value, exact_integer_max))
      throw std::out_of_range("integer beyond 2^53: pass it as a string or as bytes");
  }
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(List value) : data_(std::move(value)) {}
  Value(Map value) : data_(std::move(value)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_null() const { return kind() == Kind::null; }

  // Each throws std::invalid_argument, naming both kinds, if the value is of another kind.
  bool as_bool() const;
  double as_number() const;
  const std::string& as_string() const&;
  const List& as_list() const&;
  const Map& as_map() const&;
  // Of a temporary, so that `for (... : Value::from_json(text).as_list())` is sound.
  std::string as_string() &&;
  List as_list() &&;
  Map as_map() &&;
  // Throws std::out_of_range too if the number is not whole or beyond 2^53.
  std::int64_t as_integer() const;

  // Compact JSON; keys in order. Throws std::invalid_argument if a number is not finite.
  std::string to_json() const;
  // Throws std::invalid_argument with the offset of what is wrong: no JSON, more than 32 levels, a number
  // that a double cannot hold, an integer beyond 2^53. Of a key that comes twice the last entry counts.
  static Value from_json(std::string_view text);

  bool operator==(const Value&) const = default;

  static constexpr std::int64_t exact_integer_max = std::int64_t{1} << 53;

 private:
  using Data = std::variant<std::nullptr_t, bool, double, std::string, List, Map>;
  Data data_ = nullptr;
};

// In words, such as "list".
std::string_view describe(Value::Kind kind);

}  // namespace poold
