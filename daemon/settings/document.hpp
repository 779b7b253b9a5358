// The text of a YAML file as a tree of plain nodes with places, so that nothing above this header knows
// yaml-cpp.
//
// Aliases are replaced by copies and merge keys (<<) by the entries they stand for; both count against one
// budget, so a small text cannot unfold into a large tree. Duplicate keys are kept: place.hpp reports them,
// because only there the path is known.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/settings/settings.hpp"

namespace poold::settings {

struct Entry;

struct Node {
  enum class Kind { null, text, list, map };
  Kind kind = Kind::null;
  std::string text;
  bool quoted = false;  // 'auto' and auto differ for numbers
  std::vector<Node> items;
  std::vector<Entry> entries;  // in the file's order; merged ones after them
  int line = 0;
  int column = 0;
};

struct Entry {
  Node key;
  Node value;
  bool merged = false;  // came by a merge key: an entry of the map itself has gone before it
};

// How many nodes a document may have, copies by alias counted; a text counts one more for every 64 bytes. The
// largest useful configuration (1,000 pools with every key) has a third of that.
inline constexpr std::size_t document_size_max = 100'000;
// The deepest setting has a depth of 4 (pools, pool, env, value).
inline constexpr std::size_t document_depth_max = 32;

// A text without a document is a null node. The error has no path.
std::variant<Node, Error> load_document(std::string_view text);

}  // namespace poold::settings
