// From poold::Value to the parameter types of C++ functions, and from their results back. Included by
// poold/function.hpp.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../value.hpp"

namespace poold::convert {

// A parameter type: what it is called in messages, and how it is read. read() returns false and says what it
// found instead.
template <class T>
struct Parameter;

inline bool mismatch(const Value& value, std::string& got) {
  got = describe(value.kind());
  return false;
}

inline std::string number_text(double number) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, number).ptr);
}

template <>
struct Parameter<Value> {
  static std::string name() { return "any value"; }
  static bool read(const Value& value, Value& out, std::string&) {
    out = value;
    return true;
  }
};

template <>
struct Parameter<bool> {
  static std::string name() { return "boolean"; }
  static bool read(const Value& value, bool& out, std::string& got) {
    if (value.kind() != Value::Kind::boolean) return mismatch(value, got);
    out = value.as_bool();
    return true;
  }
};

template <std::floating_point T>
struct Parameter<T> {
  static std::string name() { return "number"; }
  static bool read(const Value& value, T& out, std::string& got) {
    if (value.kind() != Value::Kind::number) return mismatch(value, got);
    out = static_cast<T>(value.as_number());
    return true;
  }
};

template <std::integral T>
requires(!std::same_as<T, bool>) struct Parameter<T> {
  static constexpr bool narrow = std::numeric_limits<T>::digits < 53;
  static std::string name() {
    std::string text = "integer";
    if (narrow || std::unsigned_integral<T>) text += " from " + std::to_string(std::numeric_limits<T>::min());
    if (narrow) text += " to " + std::to_string(std::numeric_limits<T>::max());
    return text;
  }
  static bool read(const Value& value, T& out, std::string& got) {
    if (value.kind() != Value::Kind::number) return mismatch(value, got);
    const double number = value.as_number();
    constexpr auto limit = static_cast<double>(Value::exact_integer_max);
    const bool whole = number >= -limit && number <= limit &&
                       static_cast<double>(static_cast<std::int64_t>(number)) == number;
    if (!whole || !std::in_range<T>(static_cast<std::int64_t>(number))) {
      got = "number " + number_text(number);
      return false;
    }
    out = static_cast<T>(number);
    return true;
  }
};

template <>
struct Parameter<std::string> {
  static std::string name() { return "string"; }
  static bool read(const Value& value, std::string& out, std::string& got) {
    if (value.kind() != Value::Kind::string) return mismatch(value, got);
    out = value.as_string();
    return true;
  }
};

// Valid while the call lasts.
template <>
struct Parameter<std::string_view> {
  static std::string name() { return "string"; }
  static bool read(const Value& value, std::string_view& out, std::string& got) {
    if (value.kind() != Value::Kind::string) return mismatch(value, got);
    out = value.as_string();
    return true;
  }
};

template <class T>
struct Parameter<std::vector<T>> {
  static std::string name() { return "list of " + Parameter<T>::name(); }
  static bool read(const Value& value, std::vector<T>& out, std::string& got) {
    if (value.kind() != Value::Kind::list) return mismatch(value, got);
    out.reserve(value.as_list().size());
    for (const Value& entry : value.as_list()) {
      T element{};
      if (!Parameter<T>::read(entry, element, got)) {
        got += " at [" + std::to_string(out.size()) + "]";
        return false;
      }
      out.push_back(std::move(element));
    }
    return true;
  }
};

template <class T>
struct Parameter<std::map<std::string, T>> {
  static std::string name() { return "map of " + Parameter<T>::name(); }
  static bool read(const Value& value, std::map<std::string, T>& out, std::string& got) {
    if (value.kind() != Value::Kind::map) return mismatch(value, got);
    for (const auto& [key, entry] : value.as_map()) {
      if (!Parameter<T>::read(entry, out[key], got)) {
        got += " at [\"" + key + "\"]";
        return false;
      }
    }
    return true;
  }
};

template <class T>
struct Parameter<std::optional<T>> {
  static std::string name() { return Parameter<T>::name() + " or null"; }
  static bool read(const Value& value, std::optional<T>& out, std::string& got) {
    if (value.is_null()) return true;
    return Parameter<T>::read(value, out.emplace(), got);
  }
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

// Results: what converts to Value by itself, and containers of such.
template <std::convertible_to<Value> T>
Value to_value(T&& result) {
  return Value(std::forward<T>(result));
}
template <class T>
requires(!std::convertible_to<std::vector<T>, Value>) Value to_value(const std::vector<T>& result) {
  Value::List list;
  list.reserve(result.size());
  for (const auto& entry : result) list.push_back(to_value(static_cast<const T&>(entry)));
  return list;
}
template <class T>
requires(!std::convertible_to<std::map<std::string, T>, Value>) Value
    to_value(const std::map<std::string, T>& result) {
  Value::Map map;
  for (const auto& [key, entry] : result) map.emplace(key, to_value(entry));
  return map;
}
template <class T>
Value to_value(const std::optional<T>& result) {
  return result ? to_value(*result) : Value();
}

}  // namespace poold::convert
