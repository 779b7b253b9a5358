#include "daemon/engine/control/http_codec.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <cstring>
#include <optional>

namespace poold::engine {
namespace http = boost::beast::http;
namespace {

constexpr std::size_t read_size = 16 * 1024;

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// An escape that is none stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      result.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

HttpError explain(const boost::system::error_code& error) {
  if (error == http::error::header_limit) return {431, "header longer than 16384 bytes"};
  if (error == http::error::body_limit) return {413, "body longer than 16777216 bytes"};
  return {400, "not HTTP/1.1: " + error.message()};
}

HttpRequest take_request(http::request<http::string_body>&& message) {
  HttpRequest request;
  request.method = std::string(view(message.method_string()));
  const std::string_view target = view(message.target());
  const std::size_t mark = target.find('?');
  request.path = percent_decoded(target.substr(0, mark));
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  const std::string_view content_type = view(message[http::field::content_type]);
  request.content_type = lower(content_type.substr(0, content_type.find_first_of("; ")));
  request.content_encoding = lower(view(message[http::field::content_encoding]));
  request.timeout_ms = std::string(view(message["Connect-Timeout-Ms"]));
  if (http::token_list(message[http::field::connection]).exists("upgrade"))
    request.upgrade = lower(view(message[http::field::upgrade]));
  request.keep_alive = message.keep_alive();
  request.body = std::move(message.body());
  return request;
}

}  // namespace

struct HttpReader::Parser {
  std::optional<http::request_parser<http::string_body>> parser;
  bool continue_told = false;
  bool started = false;  // some byte of this request has been parsed

  void reset() {
    parser.emplace();
    parser->header_limit(http_header_max);
    parser->body_limit(http_body_max);
    parser->eager(true);
    continue_told = started = false;
  }
};

HttpReader::HttpReader() : parser_(std::make_unique<Parser>()) { parser_->reset(); }
HttpReader::~HttpReader() = default;

std::span<char> HttpReader::prepare() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < read_size) buffer_.resize(end_ + read_size);
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void HttpReader::commit(std::size_t count) { end_ += count; }

std::string_view HttpReader::rest() const { return {buffer_.data() + begin_, end_ - begin_}; }

HttpResult HttpReader::next() {
  if (failed_) return HttpError{400, "not HTTP/1.1"};
  auto& parser = *parser_->parser;
  while (begin_ < end_ && !parser.is_done()) {
    // Between chunks, Beast (1.81) takes it for granted that the end of a body, which has at least five
    // bytes, comes in one piece once it has begun, and asserts it.
    constexpr std::size_t last_chunk_size = 5;
    if (parser.is_header_done() && parser.chunked() && end_ - begin_ < last_chunk_size) break;
    boost::system::error_code error;
    const std::size_t used =
        parser.put(boost::asio::const_buffer(buffer_.data() + begin_, end_ - begin_), error);
    begin_ += used;
    if (used > 0) parser_->started = true;
    if (error == http::error::need_more) break;
    if (error) {
      failed_ = true;
      return explain(error);
    }
    if (used == 0) break;
  }
  // Beast counts a header only once it is whole: what waits unparsed is bounded here.
  if (!parser.is_header_done() && end_ - begin_ > http_header_max) {
    failed_ = true;
    return HttpError{431, "header longer than 16384 bytes"};
  }
  if (parser.is_done()) {
    HttpRequest request = take_request(parser.release());
    parser_->reset();
    return request;
  }
  HttpIncomplete incomplete;
  incomplete.in_body = parser.is_header_done();
  incomplete.in_header = !incomplete.in_body && (parser_->started || begin_ < end_);
  if (incomplete.in_body && !parser_->continue_told &&
      boost::beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    parser_->continue_told = true;
    incomplete.wants_continue = true;
  }
  return incomplete;
}

void append_response(std::string& out, const HttpResponse& response) {
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += view(http::obsolete_reason(static_cast<http::status>(response.status)));
  out += "\r\nContent-Type: ";
  out += response.content_type;
  out += "\r\nContent-Length: ";
  out += std::to_string(response.body.size());
  if (!response.allow.empty()) {
    out += "\r\nAllow: ";
    out += response.allow;
  }
  out += response.keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
  out += response.body;
}

void append_chunked_head(std::string& out, std::string_view content_type) {
  out += "HTTP/1.1 200 OK\r\nContent-Type: ";
  out += content_type;
  out += "\r\nTransfer-Encoding: chunked\r\n\r\n";
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;  // an empty chunk would end the body
  std::array<char, 20> head;
  const int n = std::snprintf(head.data(), head.size(), "%zx\r\n", bytes.size());
  out.append(head.data(), static_cast<std::size_t>(n));
  out += bytes;
  out += "\r\n";
}

void finish_chunks(std::string& out) { out += "0\r\n\r\n"; }

std::string query_value(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) == key)
      return equals == std::string_view::npos ? "" : percent_decoded(pair.substr(equals + 1));
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace poold::engine
