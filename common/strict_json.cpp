#include "common/strict_json.hpp"

#include <google/protobuf/stubs/common.h>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

namespace poold {
namespace json = boost::json;
namespace {

constexpr std::int64_t exact_integer_max = std::int64_t{1} << 53;

// Boost.JSON calls these while it parses; the first complaint ends the parse.
class Handler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  const std::string& complaint() const { return complaint_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    levels_.push_back({false, {}, {}, 0});
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) { return leave(); }
  bool on_array_begin(json::error_code&) {
    levels_.push_back({true, {}, {}, 0});
    return true;
  }
  bool on_array_end(std::size_t, json::error_code&) { return leave(); }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    key_.append(part.data(), part.size());
    Level& level = levels_.back();
    level.key = std::move(key_);
    key_.clear();
    if (level.seen.insert(level.key).second) return true;
    return refuse("duplicate key", error);
  }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return next(); }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code& error) {
    if (typed() && (value > exact_integer_max || value < -exact_integer_max)) return refuse(inexact, error);
    return next();
  }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code& error) {
    return typed() ? refuse(inexact, error) : next();
  }
  bool on_double(double value, json::string_view digits, json::error_code& error) {
    if (!std::isfinite(value)) return refuse("number out of range", error);
    // An integer with more digits than 64 bits hold arrives here too.
    if (typed() && digits.find_first_of(".eE") == json::string_view::npos) return refuse(inexact, error);
    return next();
  }
  bool on_bool(bool, json::error_code&) { return next(); }
  bool on_null(json::error_code&) { return next(); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  static constexpr const char* inexact =
      "integer beyond ±2^53 would be rounded; send it as a string or as a payload";
  struct Level {
    bool array;
    std::string key;
    std::set<std::string> seen;
    std::size_t index;
  };

  std::string place() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.array) {
        path += '[' + std::to_string(level.index) + ']';
      } else {
        if (!path.empty()) path += '.';
        path += level.key;
      }
    }
    return path;
  }
  // Inside something that becomes a google.protobuf.Value.
  bool typed() const {
    for (const Level& level : levels_)
      if (level.key == "args" || level.key == "kwargs" || level.key == "value") return true;
    return false;
  }
  bool next() {
    if (!levels_.empty() && levels_.back().array) ++levels_.back().index;
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return next();
  }
  bool refuse(const char* what, json::error_code& error) {
    complaint_ = place() + ": " + what;
    error = json::error::exception;
    return false;
  }

  std::vector<Level> levels_;
  std::string key_;
  std::string complaint_;
};

}  // namespace

std::optional<std::string> check_strict_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = json_depth_max;
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().complaint().empty()) return parser.handler().complaint();
  if (error) return "not JSON at byte " + std::to_string(used) + ": " + error.message();
  if (text.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    return "not JSON at byte " + std::to_string(used) + ": more than one value";
  return std::nullopt;
}

void append_json_string(std::string& out, std::string_view text) {
  // Messages repeat what a peer sent, which may be no UTF-8 at all.
  const bool valid =
      google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
  std::string replaced(text);
  if (!valid)
    for (char& c : replaced)
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  out += json::serialize(json::string_view(replaced.data(), replaced.size()));
}

}  // namespace poold
