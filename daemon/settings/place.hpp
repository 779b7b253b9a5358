// Reading nodes with complaints: a Place is a node with its path, a MapReader walks the entries of a map.
//
// Every complaint says what is accepted and what was found. What the settings are called is not known here;
// settings.cpp says it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/settings/document.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::settings {

// A file of nothing but mistakes shall not fill the terminal.
inline constexpr std::size_t errors_max = 100;

template <typename T>
struct Range {
  T min;
  T max;
};

// Collects what is wrong with one file.
class Report {
 public:
  explicit Report(std::string_view file) : file_(file) {}
  void add(int line, int column, std::string path, std::string message);
  bool empty() const { return errors_.empty(); }
  // In the file's order, at most errors_max and one that says so.
  Errors take();

 private:
  std::string file_;
  Errors errors_;
};

class Place {
 public:
  // `key` is where the value's name stands: a value that was left out has no place of its own.
  Place(Report& report, const Node& node, std::string path, const Node* key = nullptr);

  const Node& node() const { return *node_; }
  const std::string& path() const { return path_; }
  Report& report() const { return *report_; }

  void complain(const std::string& message) const;
  // About the name, not the value.
  void complain_of_key(const std::string& message) const;
  // "expected ACCEPTED; got ..."
  void expect(const std::string& accepted) const;

  // Each complains and returns nothing if the value is of another kind or out of its range.
  std::optional<std::string> text(std::string_view accepted) const;  // not empty, no NUL
  std::optional<std::string> any_text() const;                       // may be empty; no NUL
  std::optional<std::uint64_t> number(Range<std::uint64_t> range, std::string_view or_else = {}) const;
  std::optional<milliseconds> duration(Range<milliseconds> range, milliseconds unit = milliseconds(1),
                                       std::string_view or_else = {}) const;
  std::optional<std::uint64_t> size(Range<std::uint64_t> range, std::string_view or_else = {}) const;
  std::optional<std::string> absolute_path(std::size_t size_max) const;
  // The index of the word.
  std::optional<std::size_t> word(std::span<const std::string_view> words) const;
  // The items of a list.
  std::optional<std::vector<Place>> list(std::string_view accepted) const;

 private:
  Report* report_;
  const Node* node_;
  const Node* key_;
  std::string path_;
};

// One map, key by key: take() what is known, then finish() complains about the rest.
class MapReader {
 public:
  // Complains if the place is no map; then there are no entries. Nothing at all counts as an empty map.
  explicit MapReader(const Place& place);

  std::optional<Place> take(std::string_view key);
  // Every entry, for maps whose keys the user chooses.
  std::vector<std::pair<std::string, Place>> take_all();
  void finish();

 private:
  struct Item {
    const Entry* entry;
    bool taken = false;
  };
  Place at(const Entry& entry) const;

  Place place_;
  std::vector<Item> items_;
  std::vector<std::string_view> known_;
};

// The word that was probably meant; empty if none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

}  // namespace poold::settings
