// The seam between a plug-in and the program that loads it: what crosses the line is in this file and in its
// version number.
//
// A plug-in exports one C function, poold_plugin_table. Host and plug-in must be built with the same C++
// library; the version and the sizes in the table show most of what could differ. Authors of plug-ins include
// poold/function.hpp instead.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../value.hpp"

namespace poold {

// Bytes with their MIME type, as a result.
struct Bytes {
  std::string data;
  std::string content_type = "application/octet-stream";
};

// Bytes with their MIME type, as an argument: valid while the call lasts.
struct BytesView {
  std::string_view data;
  std::string_view content_type;
};

// What a function was called with: either typed arguments, or bytes.
struct Arguments {
  std::vector<Value> positional;
  std::map<std::string, Value> keyword;
  std::optional<BytesView> payload;
};

namespace plugin {

// Changes with every type in this file.
inline constexpr std::uint32_t abi_version = 1;
inline constexpr const char* table_symbol = "poold_plugin_table";

// Where a call leaves its result. One object serves many calls; only what `kind` names is set.
struct Reply {
  enum class Kind { value, bytes, rejected };
  Kind kind = Kind::value;
  Value value;
  Bytes bytes;
  std::string message;  // why the arguments were rejected
};

// A registered function; lives in the plug-in for as long as it is loaded.
struct Function {
  using Call = void(const Function& self, const Arguments& arguments, Reply& reply);
  const char* name;
  Call* call;  // lets the callable's exceptions through
  const Function* next;
};

// 1 while the running function is asked to end; a 32-bit word, so that the kernel can wake who waits for it.
using CancelledFlag = std::atomic<std::uint32_t>;

struct Table {
  std::uint32_t abi = abi_version;  // first, for ever
  std::uint32_t arguments_size = sizeof(Arguments);
  std::uint32_t reply_size = sizeof(Reply);
  const Function* functions = nullptr;
  // Tells the plug-in where to see that its running function was asked to end.
  void (*attach)(const CancelledFlag* cancelled) = nullptr;
};

// Hidden, so that every plug-in and every program has its own.
[[gnu::visibility("hidden")]] inline const Function* first_function = nullptr;
[[gnu::visibility("hidden")]] inline const CancelledFlag* cancelled_flag = nullptr;
[[gnu::visibility("hidden")]] inline Table table;

}  // namespace plugin
}  // namespace poold

extern "C" [[gnu::visibility("default"), gnu::used]] inline const poold::plugin::Table* poold_plugin_table() {
  using namespace poold::plugin;
  table.functions = first_function;
  table.attach = [](const CancelledFlag* cancelled) { cancelled_flag = cancelled; };
  return &table;
}
