#include "client/cpp/src/http.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "client/cpp/poold/error.hpp"

namespace poold {
namespace {

[[noreturn]] void broken(const std::string& what) {
  throw ProtocolError("this is not an HTTP answer of poold: " + what);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::size_t read_number(std::string_view text, int base, const char* what) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) broken(what);
  return value;
}

}  // namespace

std::size_t HttpReader::feed(std::string_view bytes) {
  const std::size_t given = bytes.size();
  while (!bytes.empty() && state_ != State::complete) bytes.remove_prefix(step(bytes));
  return given - bytes.size();
}

bool HttpReader::finish() {
  if (state_ == State::until_close) state_ = State::complete;
  return state_ == State::complete;
}

// Takes bytes up to the next change of state; returns how many.
std::size_t HttpReader::step(std::string_view bytes) {
  begun_ = true;
  std::string_view rest = bytes;
  switch (state_) {
    case State::head: {
      // The end of the head may be split between two reads.
      const std::size_t before = head_.size();
      head_.append(bytes.substr(0, http_head_max + 4 - std::min(before, http_head_max)));
      const std::size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
      if (end == std::string::npos) {
        if (head_.size() > http_head_max) broken("its header block is longer than 16 KiB");
        return bytes.size();
      }
      head_.resize(end);
      read_head();
      return end + 4 - before;
    }
    case State::length:
    case State::chunk_data: {
      const std::size_t n = std::min(remaining_, bytes.size());
      take_body(bytes.substr(0, n));
      remaining_ -= n;
      if (remaining_ == 0) state_ = state_ == State::length ? State::complete : State::chunk_end;
      return n;
    }
    case State::until_close:
      take_body(bytes);
      return bytes.size();
    case State::chunk_size:
      if (take_line(rest)) read_chunk_size();
      return bytes.size() - rest.size();
    case State::chunk_end:
      if (take_line(rest)) {
        if (!head_.empty()) broken("a chunk has no end");
        state_ = State::chunk_size;
      }
      return bytes.size() - rest.size();
    case State::trailer:
      if (take_line(rest)) {
        if (head_.empty()) state_ = State::complete;
        head_.clear();
      }
      return bytes.size() - rest.size();
    case State::complete:
      return 0;
  }
  std::abort();
}

// Collects one line in head_. True when it is whole, without its end.
bool HttpReader::take_line(std::string_view& bytes) {
  while (!bytes.empty()) {
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (c == '\n') {
      if (!head_.empty() && head_.back() == '\r') head_.pop_back();
      return true;
    }
    head_.push_back(c);
    if (head_.size() > http_head_max) broken("a line of a chunked body is longer than 16 KiB");
  }
  return false;
}

void HttpReader::read_chunk_size() {
  const std::string_view digits = trimmed(std::string_view(head_).substr(0, head_.find(';')));
  remaining_ = read_number(digits, 16, "a chunk's size cannot be read");
  state_ = remaining_ == 0 ? State::trailer : State::chunk_data;
  head_.clear();
}

void HttpReader::take_body(std::string_view bytes) {
  if (sink_ && status_ == 200) return sink_(bytes);
  if (bytes.size() > http_body_max - body_.size()) broken("its body is longer than 256 MiB");
  body_.append(bytes);
}

void HttpReader::read_head() {
  std::string_view head = head_;
  const std::size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string_view line = head.substr(0, line_end);
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ')
    broken("it does not begin with HTTP/1.1");
  status_ = static_cast<int>(read_number(line.substr(9, 3), 10, "its status is not a number"));
  keep_alive_ = line[7] == '1';
  head.remove_prefix(std::min(line_end + 2, head.size()));
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    read_header(head.substr(0, end));
    head.remove_prefix(std::min(end + 2, head.size()));
  }
  head_.clear();
  if (status_ == 101 || status_ == 204 || status_ == 304) {
    state_ = State::complete;
  } else if (chunked_) {
    state_ = State::chunk_size;
  } else if (has_length_) {
    state_ = remaining_ == 0 ? State::complete : State::length;
  } else {
    state_ = State::until_close;
    keep_alive_ = false;
  }
}

void HttpReader::read_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) broken("a header has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equals_ignoring_case(name, "content-length")) {
    remaining_ = read_number(value, 10, "its Content-Length is not a number");
    has_length_ = true;
  } else if (equals_ignoring_case(name, "transfer-encoding")) {
    if (!equals_ignoring_case(value, "chunked")) broken("its Transfer-Encoding is unknown");
    chunked_ = true;
  } else if (equals_ignoring_case(name, "connection")) {
    if (equals_ignoring_case(value, "close")) keep_alive_ = false;
  } else if (equals_ignoring_case(name, "content-type")) {
    content_type_ = value;
  }
}

}  // namespace poold
