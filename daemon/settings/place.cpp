#include "daemon/settings/place.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "daemon/settings/quantity.hpp"
#include "daemon/settings/quote.hpp"

namespace poold::settings {
namespace {

std::string found(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::text:
      return node.quoted ? quoted(node.text) + " in quotes" : quoted(node.text);
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  std::abort();
}

// Edits (insert, delete, replace, swap neighbours) that turn one word into the other.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string joined(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path).append(".").append(key);
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> words) {
  if (word.size() > 64) return {};
  std::string_view best;
  std::size_t best_edits = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (std::string_view candidate : words) {
    const std::size_t n = edits(word, candidate);
    if (n < best_edits) best = candidate, best_edits = n;
  }
  return best;
}

void Report::add(int line, int column, std::string path, std::string message) {
  errors_.push_back({file_, line, column, std::move(path), std::move(message)});
}

Errors Report::take() {
  std::stable_sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  if (errors_.size() > errors_max) {
    const std::size_t more = errors_.size() - errors_max;
    errors_.resize(errors_max);
    errors_.push_back({file_, 0, 0, "", "and " + format_number(more) + " more errors"});
  }
  return std::move(errors_);
}

Place::Place(Report& report, const Node& node, std::string path, const Node* key)
    : report_(&report), node_(&node), key_(key), path_(std::move(path)) {}

void Place::complain(const std::string& message) const {
  const Node& at = node_->kind == Node::Kind::null && key_ ? *key_ : *node_;
  report_->add(at.line, at.column, path_, message);
}

void Place::complain_of_key(const std::string& message) const {
  const Node& at = key_ ? *key_ : *node_;
  report_->add(at.line, at.column, path_, message);
}

void Place::expect(const std::string& accepted) const {
  complain("expected " + accepted + "; got " + found(*node_));
}

std::optional<std::string> Place::any_text() const {
  if (node_->kind != Node::Kind::text) {
    expect("a text");
    return std::nullopt;
  }
  if (node_->text.find('\0') != std::string::npos) {
    complain("a text must not contain the character NUL");
    return std::nullopt;
  }
  return node_->text;
}

std::optional<std::string> Place::text(std::string_view accepted) const {
  if (node_->kind == Node::Kind::text && !node_->text.empty()) return any_text();
  expect(std::string(accepted));
  return std::nullopt;
}

std::optional<std::uint64_t> Place::number(Range<std::uint64_t> range, std::string_view or_else) const {
  if (node_->kind == Node::Kind::text && !node_->quoted)
    if (const auto n = parse_number(node_->text); n && *n >= range.min && *n <= range.max) return n;
  expect("a number from " + format_number(range.min) + " to " + format_number(range.max) +
         std::string(or_else));
  return std::nullopt;
}

std::optional<milliseconds> Place::duration(Range<milliseconds> range, milliseconds unit,
                                            std::string_view or_else) const {
  if (node_->kind == Node::Kind::text)
    if (const auto d = parse_duration(node_->text);
        d && *d >= range.min && *d <= range.max && *d % unit == d->zero())
      return d;
  const bool whole_seconds = unit >= std::chrono::seconds(1);
  expect(std::string("a duration such as ") + (whole_seconds ? "30s, 2h or 7d" : "500ms, 30s or 2h") +
         ", from " + format_duration(range.min) + " to " + format_duration(range.max) + std::string(or_else));
  return std::nullopt;
}

std::optional<std::uint64_t> Place::size(Range<std::uint64_t> range, std::string_view or_else) const {
  if (node_->kind == Node::Kind::text)
    if (const auto n = parse_size(node_->text); n && *n >= range.min && *n <= range.max) return n;
  expect("a size such as 512KiB, 64MiB or 1GiB, from " + format_size(range.min) + " to " +
         format_size(range.max) + std::string(or_else));
  return std::nullopt;
}

std::optional<std::string> Place::absolute_path(std::size_t size_max) const {
  if (node_->kind == Node::Kind::text && node_->text.starts_with('/') && node_->text.size() <= size_max)
    return any_text();
  expect("an absolute path of at most " + format_number(size_max) + " bytes");
  return std::nullopt;
}

std::optional<std::size_t> Place::word(std::span<const std::string_view> words) const {
  std::string accepted;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (node_->kind == Node::Kind::text && node_->text == words[i]) return i;
    if (i > 0) accepted += i + 1 == words.size() ? " or " : ", ";
    accepted += words[i];
  }
  expect(accepted);
  return std::nullopt;
}

std::optional<std::vector<Place>> Place::list(std::string_view accepted) const {
  if (node_->kind != Node::Kind::list) {
    expect(std::string(accepted));
    return std::nullopt;
  }
  std::vector<Place> items;
  for (std::size_t i = 0; i < node_->items.size(); ++i)
    items.emplace_back(*report_, node_->items[i], path_ + "[" + std::to_string(i) + "]");
  return items;
}

MapReader::MapReader(const Place& place) : place_(place) {
  if (place.node().kind != Node::Kind::map) {
    if (place.node().kind != Node::Kind::null) place.expect("a map of names and values");
    return;
  }
  std::set<std::string_view> own;
  for (const Entry& entry : place.node().entries) {
    if (entry.key.kind != Node::Kind::text) {
      place.report().add(entry.key.line, entry.key.column, place.path(),
                         "expected a name; got " + found(entry.key));
    } else if (own.insert(entry.key.text).second) {
      items_.push_back({&entry});
    } else if (!entry.merged) {
      at(entry).complain_of_key("duplicate key " + quoted(entry.key.text));
    }
  }
}

Place MapReader::at(const Entry& entry) const {
  std::string key = quoted(entry.key.text);
  const bool plain = key.size() == entry.key.text.size() + 2 && key.find('\\') == std::string::npos;
  return Place(place_.report(), entry.value, joined(place_.path(), plain ? entry.key.text : key), &entry.key);
}

std::optional<Place> MapReader::take(std::string_view key) {
  known_.push_back(key);
  for (Item& item : items_) {
    if (item.entry->key.text != key) continue;
    item.taken = true;
    return at(*item.entry);
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, Place>> MapReader::take_all() {
  std::vector<std::pair<std::string, Place>> all;
  for (Item& item : items_) {
    item.taken = true;
    all.emplace_back(item.entry->key.text, at(*item.entry));
  }
  return all;
}

void MapReader::finish() {
  for (const Item& item : items_) {
    if (item.taken) continue;
    const Node& key = item.entry->key;
    std::string message = "unknown key " + quoted(key.text);
    if (const std::string_view meant = nearest(key.text, known_); !meant.empty())
      message += "; did you mean " + quoted(meant) + "?";
    place_.report().add(key.line, key.column, place_.path(), message);
  }
}

}  // namespace poold::settings
