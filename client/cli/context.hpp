// What every verb has in common: the connection, the chosen output format, the terminal. One per run of
// poolctl.
#pragma once

#include <google/protobuf/message.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/cli/command_line.hpp"
#include "client/cli/table.hpp"
#include "client/cli/text.hpp"
#include "client/cpp/src/connection.hpp"

namespace poold::cli {

enum class Format { table, json, ndjson };

class Context {
 public:
  // Set by the command line.
  std::string socket;           // --socket
  bool json = false;            // --json
  std::string output;           // -o
  std::string color = "auto";   // --color
  WorkLine work;                // for the verbs that take work
  std::string spec;             // cron add's
  std::function<int()> action;  // what the verb does, and its exit code

  Format format() const;
  std::string socket_path() const;
  Connection& connection();

  // Calls a method. With --json the call is made in JSON and the daemon's own bytes are printed; the response
  // is filled in either case.
  void call(std::string_view method, const google::protobuf::Message& request,
            google::protobuf::Message& response);
  void call(std::string_view method, const google::protobuf::Message& request,
            google::protobuf::Message& response, std::chrono::milliseconds answer_timeout);
  // The same without printing.
  void call_quietly(std::string_view method, const google::protobuf::Message& request,
                    google::protobuf::Message& response);

  Screen screen() const;
  // Whether what goes to stdout is coloured.
  bool colours() const;
  bool stdout_is_terminal() const;
  bool stderr_is_terminal() const;

 private:
  std::unique_ptr<Connection> connection_;
};

// The message in the protocol's JSON, with the daemon's own options.
std::string to_json(const google::protobuf::Message& message);

// Data, on stdout. Ends quietly where nobody reads it any more.
void print(std::string_view text);

}  // namespace poold::cli
