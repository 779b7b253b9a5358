// The JSON half of poold::Value. Boost.JSON stays in this file; a plug-in that does not use JSON does not
// link it.
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>
#include <string>

#include "client/cpp/poold/value.hpp"

namespace poold {
namespace {

void print(const Value& value, std::string& out);

void print_number(double number, std::string& out) {
  if (!std::isfinite(number)) throw std::invalid_argument("number that is not finite has no JSON");
  char text[32];
  const bool whole = number == std::trunc(number) && std::abs(number) <= double{Value::exact_integer_max};
  const auto end = whole ? std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(number))
                         : std::to_chars(text, text + sizeof text, number);
  out.append(text, end.ptr);
}

void print_string(std::string_view text, std::string& out) {
  out += boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

void print_list(const Value::List& list, std::string& out) {
  out += '[';
  for (const Value& entry : list) {
    if (&entry != list.data()) out += ',';
    print(entry, out);
  }
  out += ']';
}

void print_map(const Value::Map& map, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, entry] : map) {
    if (!first) out += ',';
    first = false;
    print_string(key, out);
    out += ':';
    print(entry, out);
  }
  out += '}';
}

void print(const Value& value, std::string& out) {
  switch (value.kind()) {
    case Value::Kind::null:
      out += "null";
      return;
    case Value::Kind::boolean:
      out += value.as_bool() ? "true" : "false";
      return;
    case Value::Kind::number:
      print_number(value.as_number(), out);
      return;
    case Value::Kind::string:
      print_string(value.as_string(), out);
      return;
    case Value::Kind::list:
      print_list(value.as_list(), out);
      return;
    case Value::Kind::map:
      print_map(value.as_map(), out);
      return;
  }
}

// Takes the parser's events and builds the value. Events instead of boost::json::value, because only they
// show how a number was written: 9007199254740993 must be refused, 1e300 must not.
class Builder {
 public:
  // Of Boost's interface: limits on what the parser may hand over; ours is the size of the text.
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Text = boost::json::string_view;
  using Code = boost::json::error_code;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return open(Value::Map()); }
  bool on_object_end(std::size_t, Code&) { return close(); }
  bool on_array_begin(Code&) { return open(Value::List()); }
  bool on_array_end(std::size_t, Code&) { return close(); }
  bool on_key_part(Text part, std::size_t, Code&) { return append(part); }
  bool on_key(Text part, std::size_t, Code&) {
    append(part);
    open_.back().key = std::exchange(text_, {});
    return true;
  }
  bool on_string_part(Text part, std::size_t, Code&) { return append(part); }
  bool on_string(Text part, std::size_t, Code&) {
    append(part);
    return add(Value(std::exchange(text_, {})));
  }
  bool on_number_part(Text part, Code&) { return append(part); }
  bool on_int64(std::int64_t number, Text, Code& error) { return add_integer(number, error); }
  bool on_uint64(std::uint64_t number, Text, Code& error) { return add_integer(number, error); }
  bool on_double(double number, Text part, Code& error) {
    append(part);
    const std::string written = std::exchange(text_, {});
    const bool integer = written.find_first_of(".eE") == std::string::npos;
    if (integer || !std::isfinite(number)) return refuse(error);
    return add(number);
  }
  bool on_bool(bool value, Code&) { return add(value); }
  bool on_null(Code&) { return add(nullptr); }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }

  Value result;
  bool too_large = false;  // an integer beyond 2^53, or a number beyond a double's range

 private:
  struct Open {
    std::variant<Value::List, Value::Map> value;
    std::string key;  // of the entry that comes next, for a map
  };

  bool append(Text part) {
    text_.append(part.data(), part.size());
    return true;
  }
  template <class T>
  bool open(T value) {
    open_.push_back({std::move(value), {}});
    return true;
  }
  bool close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    return add(std::visit([](auto& value) { return Value(std::move(value)); }, done.value));
  }
  bool add(Value value) {
    if (open_.empty()) {
      result = std::move(value);
    } else if (auto* list = std::get_if<Value::List>(&open_.back().value)) {
      list->push_back(std::move(value));
    } else {
      std::get<Value::Map>(open_.back().value)
          .insert_or_assign(std::move(open_.back().key), std::move(value));
    }
    return true;
  }
  template <class Integer>
  bool add_integer(Integer number, Code& error) {
    text_.clear();
    if (std::cmp_less(number, -Value::exact_integer_max) ||
        std::cmp_greater(number, Value::exact_integer_max))
      return refuse(error);
    return add(Value(number));
  }
  bool refuse(Code& error) {
    too_large = true;
    error = boost::json::error::not_exact;
    return false;
  }

  std::vector<Open> open_;
  std::string text_;  // of the string, key or number being read
};

}  // namespace

std::string Value::to_json() const {
  std::string out;
  print(*this, out);
  return out;
}

Value Value::from_json(std::string_view text) {
  boost::json::basic_parser<Builder> parser{boost::json::parse_options()};
  boost::json::error_code error;
  std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (!error && read < text.size()) error = boost::json::error::extra_data;
  if (!error) return std::move(parser.handler().result);
  const std::string what = parser.handler().too_large ? "number too large to be exact" : error.message();
  throw std::invalid_argument("JSON: " + what + " at offset " + std::to_string(read));
}

}  // namespace poold
