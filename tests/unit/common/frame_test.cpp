// The envelope: every way in which bytes can arrive, and every way in which they can be wrong.
#include "common/frame.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include <string>
#include <vector>

#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

std::string framed(std::string_view payload) {
  std::string out;
  append_frame(out, payload);
  return out;
}

// All whole frames that are there now.
std::vector<std::string> take_all(FrameReader& reader) {
  std::vector<std::string> payloads;
  for (FrameResult result = reader.next(); const auto* frame = std::get_if<Frame>(&result);
       result = reader.next())
    payloads.emplace_back(frame->payload);
  return payloads;
}

FrameError error_of(FrameReader& reader) {
  const FrameResult result = reader.next();
  EXPECT_TRUE(std::holds_alternative<FrameError>(result));
  return std::get<FrameError>(result);
}

using Payloads = std::vector<std::string>;

TEST(Frame, IsAFlagABigEndianLengthAndThePayload) {
  EXPECT_EQ(framed("abc"), std::string("\0\0\0\0\3abc", 8));
  EXPECT_EQ(framed(""), std::string(5, '\0'));
  EXPECT_EQ(framed(std::string(0x010203, 'x')).substr(0, 5), std::string("\0\0\1\2\3", 5));
}

TEST(FrameReader, NothingReadIsNothingThere) {
  FrameReader reader;
  EXPECT_TRUE(std::holds_alternative<FrameIncomplete>(reader.next()));
  EXPECT_FALSE(reader.partial());
}

TEST(FrameReader, ByteByByte) {
  FrameReader reader;
  const std::string bytes = framed("first") + framed("") + framed(std::string(300, 'x'));
  Payloads payloads;
  for (const char byte : bytes) {
    reader.feed({&byte, 1});
    for (std::string& payload : take_all(reader)) payloads.push_back(std::move(payload));
  }
  EXPECT_EQ(payloads, (Payloads{"first", "", std::string(300, 'x')}));
  EXPECT_FALSE(reader.partial());
}

TEST(FrameReader, ManyFramesInOneRead) {
  FrameReader reader;
  std::string bytes;
  Payloads expected;
  for (int i = 0; i < 1000; ++i) append_frame(bytes, expected.emplace_back(std::to_string(i)));
  reader.feed(bytes);
  EXPECT_EQ(take_all(reader), expected);
}

TEST(FrameReader, PayloadsOfOneReadStayUntilTheNext) {
  FrameReader reader;
  reader.feed(framed("one") + framed("two"));
  const FrameResult one = reader.next(), two = reader.next();
  EXPECT_EQ(std::get<Frame>(one).payload, "one");
  EXPECT_EQ(std::get<Frame>(two).payload, "two");
}

TEST(FrameReader, FrameThatCrossesReadsKeepsItsBytes) {
  // Sizes around the reader's own: one read, its buffer, twice that.
  for (const std::size_t size : {65'535u, 65'536u, 131'066u, 131'067u, 131'072u, 262'144u, 1'000'000u}) {
    FrameReader reader;
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 31 >> 3);
    std::string_view rest;
    const std::string bytes = framed("before") + framed(payload) + framed("after");
    Payloads payloads;
    for (rest = bytes; !rest.empty();) {
      const std::span<char> space = reader.prepare();
      const std::size_t n = std::min({space.size(), rest.size(), std::size_t{7001}});
      rest.copy(space.data(), n);
      reader.commit(n);
      rest.remove_prefix(n);
      for (std::string& whole : take_all(reader)) payloads.push_back(std::move(whole));
    }
    EXPECT_EQ(payloads, (Payloads{"before", payload, "after"})) << size;
  }
}

TEST(FrameReader, HalfAFrameIsPartial) {
  FrameReader reader;
  reader.feed(framed("abc").substr(0, 3));
  EXPECT_TRUE(std::holds_alternative<FrameIncomplete>(reader.next()));
  EXPECT_TRUE(reader.partial());
}

TEST(FrameReader, AnnouncedLengthTakesNoMemory) {
  FrameReader reader;
  reader.feed(std::string("\0\1\0\0\0", 5));  // 16 MiB, not one byte of them here
  EXPECT_TRUE(std::holds_alternative<FrameIncomplete>(reader.next()));
  EXPECT_EQ(reader.prepare().empty(), false);
  EXPECT_LE(reader.capacity(), 128u * 1024);
}

TEST(FrameReader, LengthAboveTheLimitIsRefusedByItsHeader) {
  for (const char* header : {"\0\1\0\0\1", "\0\x80\0\0\0", "\0\xff\xff\xff\xff"}) {
    FrameReader reader;
    reader.feed({header, 5});
    EXPECT_EQ(error_of(reader), FrameError::too_long);
    EXPECT_LE(reader.capacity(), 128u * 1024);
  }
}

TEST(FrameReader, LimitOfItsOwn) {
  FrameReader reader(3);
  reader.feed(framed("abc") + framed("abcd"));
  EXPECT_EQ(std::get<Frame>(reader.next()).payload, "abc");
  EXPECT_EQ(error_of(reader), FrameError::too_long);
}

TEST(FrameReader, UnknownFlagIsRefusedByItsFirstByte) {
  for (const char flag : {'\1', '\2', '\x80', 'G', '{'}) {
    FrameReader reader;
    reader.feed({&flag, 1});
    EXPECT_EQ(error_of(reader), FrameError::unknown_flag);
  }
}

TEST(FrameReader, FramesBeforeTheErrorCountAndTheErrorStays) {
  FrameReader reader;
  reader.feed(framed("good") + "\1");
  EXPECT_EQ(take_all(reader), Payloads{"good"});
  EXPECT_EQ(error_of(reader), FrameError::unknown_flag);
  reader.feed(framed("too late"));
  EXPECT_EQ(error_of(reader), FrameError::unknown_flag);
}

TEST(FrameReader, LargestFrame) {
  FrameReader reader;
  const std::string payload(frame_payload_max, 'x');
  reader.feed(framed(payload));
  const FrameResult result = reader.next();
  ASSERT_TRUE(std::holds_alternative<Frame>(result));
  EXPECT_TRUE(std::get<Frame>(result).payload == payload);
  EXPECT_LE(reader.capacity(), 2 * frame_payload_max);
}

TEST(FrameReader, LargeFrameGivesItsMemoryBackAtTheNextRead) {
  FrameReader reader;
  reader.feed(framed(std::string(frame_payload_max, 'x')));
  EXPECT_EQ(take_all(reader).size(), 1u);
  EXPECT_GT(reader.capacity(), frame_payload_max);
  reader.prepare();
  EXPECT_LE(reader.capacity(), 256u * 1024);
}

TEST(FrameReader, LargeFrameGivesItsMemoryBackAlsoUnderATrickle) {
  FrameReader reader;
  const std::string half = framed("0123456789").substr(0, 7), other_half = framed("0123456789").substr(7);
  reader.feed(framed(std::string(1'000'000, 'x')) + half);
  EXPECT_EQ(take_all(reader).size(), 1u);
  // Never empty at a read: half a frame is always left over.
  for (int i = 0; i < 100'000; ++i) {
    reader.feed(other_half + half);
    EXPECT_EQ(take_all(reader), Payloads{"0123456789"});
  }
  EXPECT_LE(reader.capacity(), 256u * 1024);
}

TEST(FrameReaderDeathTest, MoreCommittedThanOffered) {
  FrameReader reader;
  const std::size_t room = reader.prepare().size();
  EXPECT_DEATH(reader.commit(room + 1), "");
}

TEST(FrameWriter, WrittenInPlace) {
  std::string out = "before";
  char* space = append_envelope(out, 7);
  ASSERT_NE(space, nullptr);
  std::memcpy(space, "payload", 7);
  EXPECT_EQ(out, "before" + framed("payload"));
}

TEST(FrameWriter, LargestPayloadAndOneByteMore) {
  std::string out = "before";
  EXPECT_EQ(append_envelope(out, frame_payload_max + 1), nullptr);
  EXPECT_EQ(out, "before") << "nothing was begun";
  EXPECT_NE(append_envelope(out, frame_payload_max), nullptr);
  EXPECT_EQ(out.size(), 6 + frame_header_size + frame_payload_max);
}

TEST(FrameWriterDeathTest, PayloadAboveTheLimit) {
  std::string out;
  const std::string payload(frame_payload_max + 1, 'x');
  EXPECT_DEATH(append_frame(out, payload), "");
}

TEST(FrameMessage, RoundTrip) {
  v1::ClientFrame sent;
  sent.mutable_cancel()->set_tag(7);
  std::string out;
  ASSERT_TRUE(append_message(out, sent));
  FrameReader reader;
  reader.feed(out);
  v1::ClientFrame received;
  ASSERT_TRUE(parse_message(received, std::get<Frame>(reader.next()).payload));
  EXPECT_EQ(received.cancel().tag(), 7u);
}

TEST(FrameMessage, MessageAboveTheLimitLeavesNothingBehind) {
  v1::ClientFrame message;
  message.mutable_submit()->mutable_task()->mutable_function()->mutable_payload()->set_data(
      std::string(frame_payload_max, 'x'));
  std::string out = "before";
  EXPECT_FALSE(append_message(out, message));
  EXPECT_EQ(out, "before");
}

TEST(FrameMessage, TextThatIsNotUtf8IsNoMessage) {
  v1::ClientFrame message;
  EXPECT_FALSE(parse_message(message, "\x0a\x03\x1a\x01\xff"));
  EXPECT_FALSE(parse_message(message, "\x0a\x7f")) << "cut";
}

}  // namespace
}  // namespace poold
