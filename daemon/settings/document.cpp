#include "daemon/settings/document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <map>
#include <optional>
#include <streambuf>
#include <utility>

#include "daemon/settings/bytes.hpp"
#include "daemon/settings/quote.hpp"

namespace poold::settings {
namespace {

constexpr std::string_view merge_key = "<<";

// Our own complaint, thrown through yaml-cpp's parser.
class Refused : public YAML::Exception {
 public:
  using YAML::Exception::Exception;
};

[[noreturn]] void refuse(int line, int column, const std::string& message) {
  YAML::Mark mark;
  mark.line = line - 1;
  mark.column = column - 1;
  throw Refused(mark, message);
}

std::size_t size_of(const Node& node) {
  std::size_t size = 1 + node.text.size() / 64;
  for (const Node& item : node.items) size += size_of(item);
  for (const Entry& entry : node.entries) size += size_of(entry.key) + size_of(entry.value);
  return size;
}

// Takes the parser's events and builds the tree. Leaves by exception when a bound is passed.
class Builder : public YAML::EventHandler {
 public:
  Node take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(make(mark, Node::Kind::null, "?"), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark.line + 1, mark.column + 1, "alias to a value that contains it");
    charge(size_of(found->second), mark.line + 1, mark.column + 1);
    add(found->second, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = make(mark, Node::Kind::text, tag);
    charge(value.size() / 64, node.line, node.column);
    node.text = value;
    node.quoted = tag == "!";
    add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(mark, Node::Kind::list, tag), anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(mark, Node::Kind::map, tag), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override {
    merge(open_.back().node);
    close();
  }

 private:
  // A list or map whose end has not been seen.
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    std::optional<Node> key;  // in a map: the key whose value comes next
  };

  void charge(std::size_t size, int line, int column) {
    size_ += size;
    if (size_ > document_size_max)
      refuse(line, column, "too many values, aliases included (accepted: 100,000)");
  }

  Node make(const YAML::Mark& mark, Node::Kind kind, const std::string& tag) {
    Node node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(node.line, node.column, "a tag has no meaning here; write the value without it");
    charge(1, node.line, node.column);
    return node;
  }

  void open(Node node, YAML::anchor_t anchor) {
    if (open_.size() >= document_depth_max)
      refuse(node.line, node.column, "nested too deeply (accepted: 32 levels)");
    open_.push_back({std::move(node), anchor, std::nullopt});
  }

  void close() {
    Open last = std::move(open_.back());
    open_.pop_back();
    add(std::move(last.node), last.anchor);
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (anchor != 0) {
      charge(size_of(node), node.line, node.column);
      anchors_.insert_or_assign(anchor, node);
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == Node::Kind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      parent.key = std::move(node);
    } else {
      parent.node.entries.push_back({std::move(*parent.key), std::move(node), false});
      parent.key.reset();
    }
  }

  // Takes out the merge keys and puts what they stand for after the map's own entries. The first entry of a
  // name counts.
  void merge(Node& map) {
    std::vector<Entry> own, merged;
    for (Entry& entry : map.entries) {
      if (entry.key.kind != Node::Kind::text || entry.key.quoted || entry.key.text != merge_key) {
        own.push_back(std::move(entry));
      } else if (entry.value.kind == Node::Kind::map) {
        take_merged(merged, std::move(entry.value));
      } else if (entry.value.kind == Node::Kind::list) {
        for (Node& item : entry.value.items) take_merged(merged, std::move(item));
      } else {
        refuse(entry.key.line, entry.key.column, "<<: expected a map or a list of maps");
      }
    }
    map.entries = std::move(own);
    for (Entry& entry : merged) map.entries.push_back(std::move(entry));
  }

  static void take_merged(std::vector<Entry>& merged, Node map) {
    if (map.kind != Node::Kind::map) refuse(map.line, map.column, "<<: expected a map or a list of maps");
    for (Entry& entry : map.entries) {
      entry.merged = true;
      merged.push_back(std::move(entry));
    }
  }

  Node root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::size_t size_ = 0;
};

// Reads text in place.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

std::variant<Node, Error> load_document(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (auto error = check_bytes(text)) return *error;
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder first, second;
    if (!parser.HandleNextDocument(first)) return Node{};
    if (parser.HandleNextDocument(second)) {
      const Node extra = second.take_root();
      return Error{"", extra.line, extra.column, "", "a second document; accepted: one"};
    }
    return first.take_root();
  } catch (const Refused& refused) {
    return Error{"", refused.mark.line + 1, refused.mark.column + 1, "", refused.msg};
  } catch (const YAML::Exception& exception) {
    const bool placed = !exception.mark.is_null();
    return Error{"", placed ? exception.mark.line + 1 : 0, placed ? exception.mark.column + 1 : 0, "",
                 "not valid YAML: " + escaped(exception.msg)};
  } catch (const std::exception& exception) {
    return Error{"", 0, 0, "", exception.what()};
  }
}

}  // namespace poold::settings
