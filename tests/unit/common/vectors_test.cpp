// common/proto/vectors/: the frames that every implementation of the contract must write and read, byte by
// byte.
//
// The files are JSON lists; protobuf's own Value reads them, so that no other JSON parser stands between them
// and the messages.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"
#include "poold/v1/worker.pb.h"

namespace poold {
namespace {

using google::protobuf::Message;
using google::protobuf::Value;
using google::protobuf::util::MessageDifferencer;

google::protobuf::ListValue read_vectors(const std::string& name) {
  std::ifstream in(VECTORS_DIRECTORY + ("/" + name));
  std::ostringstream text;
  text << in.rdbuf();
  google::protobuf::ListValue list;
  const auto status = google::protobuf::util::JsonStringToMessage(text.str(), &list);
  EXPECT_TRUE(status.ok()) << name << ": " << status.ToString();
  return list;
}

std::string text_of(const Value& vector, const std::string& key) {
  return vector.struct_value().fields().at(key).string_value();
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string to_hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) hex += {digits[static_cast<unsigned char>(byte) >> 4], digits[byte & 15]};
  return hex;
}

std::unique_ptr<Message> make_message(const std::string& type) {
  v1::ClientFrame::descriptor();  // the generated files are in the pool once one of their messages is used
  v1::ToWorker::descriptor();
  const auto* descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (!descriptor) return nullptr;
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
}

class Vectors : public testing::TestWithParam<const char*> {};

TEST_P(Vectors, BytesAreReadAsTheMessageInJson) {
  const auto vectors = read_vectors(GetParam());
  EXPECT_GT(vectors.values_size(), 0);
  for (const Value& vector : vectors.values()) {
    SCOPED_TRACE(text_of(vector, "name"));
    auto message = make_message(text_of(vector, "type"));
    ASSERT_TRUE(message);
    FrameReader reader;
    reader.feed(from_hex(text_of(vector, "hex")));
    const FrameResult result = reader.next();
    ASSERT_TRUE(std::holds_alternative<Frame>(result));
    ASSERT_TRUE(parse_message(*message, std::get<Frame>(result).payload));
    EXPECT_FALSE(reader.partial()) << "bytes after the frame";
    std::string json;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(*message, &json).ok());
    Value printed;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &printed).ok());
    EXPECT_TRUE(MessageDifferencer::Equals(printed, vector.struct_value().fields().at("json"))) << json;
  }
}

TEST_P(Vectors, MessageInJsonIsWrittenAsTheBytes) {
  const auto vectors = read_vectors(GetParam());
  EXPECT_GT(vectors.values_size(), 0);
  for (const Value& vector : vectors.values()) {
    SCOPED_TRACE(text_of(vector, "name"));
    auto message = make_message(text_of(vector, "type"));
    ASSERT_TRUE(message);
    std::string json;
    ASSERT_TRUE(
        google::protobuf::util::MessageToJsonString(vector.struct_value().fields().at("json"), &json).ok());
    const auto status = google::protobuf::util::JsonStringToMessage(json, message.get());
    ASSERT_TRUE(status.ok()) << status.ToString();
    std::string bytes;
    ASSERT_TRUE(append_message(bytes, *message));
    EXPECT_EQ(to_hex(bytes), text_of(vector, "hex"));
  }
}

INSTANTIATE_TEST_SUITE_P(, Vectors, testing::Values("stream.json", "worker.json"), [](const auto& tested) {
  const std::string name = tested.param;
  return name.substr(0, name.find('.'));
});

// How a frame is refused, in the words of refused.json; empty if it is a good one.
std::string refusal(const std::string& bytes, Message& message) {
  FrameReader reader;
  reader.feed(bytes);
  const FrameResult result = reader.next();
  if (std::holds_alternative<FrameIncomplete>(result)) return "incomplete";
  if (const auto* error = std::get_if<FrameError>(&result)) {
    switch (*error) {
      case FrameError::too_long:
        return "too_long";
      case FrameError::unknown_flag:
        return "unknown_flag";
    }
  }
  return parse_message(message, std::get<Frame>(result).payload) ? "" : "not_a_message";
}

TEST(RefusedVectors, EachIsRefusedForItsReason) {
  const auto vectors = read_vectors("refused.json");
  EXPECT_GT(vectors.values_size(), 0);
  for (const Value& vector : vectors.values()) {
    auto message = make_message(text_of(vector, "type"));
    ASSERT_TRUE(message);
    EXPECT_EQ(refusal(from_hex(text_of(vector, "hex")), *message), text_of(vector, "error"))
        << text_of(vector, "name");
  }
}

// A block of the page that is one line of hex is a frame, and a frame that is shown is a vector.
TEST(ReadMe, ShowsFramesThatAreVectors) {
  std::set<std::string> known;
  for (const char* file : {"stream.json", "worker.json"}) {
    const auto vectors = read_vectors(file);
    for (const Value& vector : vectors.values()) known.insert(text_of(vector, "hex"));
  }
  std::ifstream in(VECTORS_DIRECTORY "/../README.md");
  int shown = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.size() < 12 || line.find_first_not_of("0123456789abcdef") != std::string::npos) continue;
    EXPECT_TRUE(known.contains(line)) << line;
    ++shown;
  }
  EXPECT_EQ(shown, 9);
}

}  // namespace
}  // namespace poold
