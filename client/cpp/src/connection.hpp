// One HTTP/1.1 connection to the daemon's control socket: calls in protobuf or JSON, and the readable
// aliases. Private to libpoold and poolctl. One call at a time; connects when it must.
#pragma once

#include <google/protobuf/message_lite.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "client/cpp/src/http.hpp"
#include "client/cpp/src/socket.hpp"

namespace poold {

// No limit to how long an answer may take: for calls that wait for tasks.
inline constexpr std::chrono::milliseconds no_timeout{-1};

class Connection {
 public:
  explicit Connection(std::string socket_path,
                      std::chrono::milliseconds connect_timeout = std::chrono::seconds(10),
                      std::chrono::milliseconds answer_timeout = std::chrono::seconds(60));

  // `method` is "poold.v1.Tasks/Submit". Throws Error with the answer's code, Unreachable, ConnectionLost,
  // ProtocolError.
  void call(std::string_view method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite& response);
  void call(std::string_view method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite& response, std::chrono::milliseconds answer_timeout);
  // The same with bytes: an encoded request for an encoded answer.
  std::string call_bytes(std::string_view method, std::string_view request, std::string_view content_type,
                         std::chrono::milliseconds answer_timeout);
  std::string call_json(std::string_view method, std::string_view json,
                        std::chrono::milliseconds answer_timeout);

  // GET of a readable alias; its body goes to the sink as it arrives, for as long as it lasts. `begun` is
  // called once, when the answer has begun.
  void get(std::string_view path, const HttpReader::Sink& sink, const std::function<void()>& begun = {});

  const std::string& socket_path() const { return socket_path_; }
  std::chrono::milliseconds answer_timeout() const { return answer_timeout_; }
  // -1 while not connected.
  int descriptor() const { return socket_.get(); }
  // Returns when the daemon has closed the connection.
  void wait_for_close();

 private:
  void connect_if_needed();
  // Sends a request and reads the answer; `ask` in the errors.
  void exchange(std::string_view request_head, std::string_view body, HttpReader& reader,
                const Deadline& deadline, const std::function<void()>& begun = {});
  void send_request(std::string_view head, std::string_view body, const Deadline& deadline);
  void receive_answer(HttpReader& reader, const Deadline& deadline, std::function<void()> begun);

  std::string socket_path_;
  std::chrono::milliseconds connect_timeout_;
  std::chrono::milliseconds answer_timeout_;
  FileDescriptor socket_;
};

// The error that an answer other than 200 stands for: Connect's JSON if it is that, else what the status
// means.
[[noreturn]] void throw_answer(int status, std::string_view body);

}  // namespace poold
