// HttpReader: answers in every form and in every piece size, and what is no answer.
#include "client/cpp/src/http.hpp"

#include <gtest/gtest.h>

#include "client/cpp/poold/error.hpp"

namespace poold {
namespace {

HttpReader read_in_pieces(std::string_view bytes, std::size_t piece) {
  HttpReader reader;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    EXPECT_EQ(reader.feed(part), part.size());
    bytes.remove_prefix(part.size());
  }
  return reader;
}

constexpr std::string_view with_length =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length:  11 \r\n\r\nhello world";
constexpr std::string_view chunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;name=x\r\nhello\r\n06\r\n world\r\n0\r\nTrailer: "
    "x\r\n\r\n";

TEST(HttpReader, AnswersComeInPiecesOfAnySize) {
  for (std::size_t piece = 1; piece <= chunked.size(); ++piece) {
    for (const std::string_view bytes : {with_length, chunked}) {
      HttpReader reader = read_in_pieces(bytes, piece);
      ASSERT_TRUE(reader.complete()) << piece;
      EXPECT_EQ(reader.status(), 200);
      EXPECT_EQ(reader.body(), "hello world");
      EXPECT_TRUE(reader.keep_alive());
    }
  }
}

TEST(HttpReader, TakesNoByteOfWhatFollows) {
  HttpReader reader;
  const std::string_view upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: poold-frames/1\r\n\r\n";
  EXPECT_EQ(reader.feed(std::string(upgrade) + "frames"), upgrade.size());
  EXPECT_TRUE(reader.complete());
}

TEST(HttpReader, BodyWithoutLengthEndsWithTheConnection) {
  HttpReader reader = read_in_pieces("HTTP/1.1 200 OK\r\n\r\nhello", 3);
  EXPECT_FALSE(reader.complete());
  EXPECT_TRUE(reader.finish());
  EXPECT_EQ(reader.body(), "hello");
  EXPECT_FALSE(reader.keep_alive());
}

TEST(HttpReader, ConnectionThatEndsInTheMiddleIsNoAnswer) {
  for (std::size_t size = 0; size < with_length.size(); ++size)
    EXPECT_FALSE(read_in_pieces(with_length.substr(0, size), 7).finish()) << size;
}

TEST(HttpReader, EmptyBodyIsWholeWithTheHead) {
  EXPECT_TRUE(read_in_pieces("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 100).complete());
}

TEST(HttpReader, SinkGetsTheBodyOfAGoodAnswerOnly) {
  std::string taken;
  HttpReader good;
  good.set_sink([&](std::string_view bytes) { taken.append(bytes); });
  good.feed(chunked);
  EXPECT_EQ(taken, "hello world");
  EXPECT_EQ(good.body(), "");

  HttpReader bad;
  bad.set_sink([&](std::string_view) { FAIL(); });
  bad.feed("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(bad.body(), "{}");
}

TEST(HttpReader, GarbageIsRefused) {
  const std::vector<std::string> broken = {
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 20x OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
      std::string(20'000, 'x'),
  };
  for (const std::string& bytes : broken) {
    HttpReader reader;
    EXPECT_THROW(reader.feed(bytes), ProtocolError) << bytes.substr(0, 80);
  }
}

TEST(HttpReader, BodyBeyondTheLimitIsRefusedBeforeItIsKept) {
  HttpReader reader;
  reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
  const std::string piece(16 * 1024 * 1024, 'x');
  for (std::size_t sent = 0; sent + piece.size() <= http_body_max; sent += piece.size()) reader.feed(piece);
  EXPECT_THROW(reader.feed(piece), ProtocolError);
}

}  // namespace
}  // namespace poold
