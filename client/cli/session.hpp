// One task followed over a stream until it has ended: run's task, or the one that logs -f looks at. Prints
// its output, and turns signals and a vanished reader into what its owner wants.
#pragma once

#include <memory>
#include <string>

#include "client/cli/output_printer.hpp"
#include "client/cli/reconnection.hpp"
#include "client/cli/signal_watch.hpp"
#include "client/cpp/poold/error.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "poold/v1/stream.pb.h"

namespace poold::cli {

class Session {
 public:
  struct Options {
    bool raw = false;                        // OutputPrinter's
    int stdout_target = 1;                   // OutputPrinter's
    bool cancel_on_signal = true;            // a first signal cancels the task; else it ends the session
    bool forward_interrupt = false;          // a first SIGINT is sent to the running command instead
    std::chrono::milliseconds reconnect{0};  // Reconnection's limit
  };

  struct End {
    v1::StreamResult result;   // if `ended`
    bool ended = false;        // else poolctl leaves before the task
    std::string id;            // if the request asked for StreamAccepted
    int signal = 0;            // the signal that cancelled the task or ended the session
    bool reader_gone = false;  // nobody reads our output; the task was cancelled
  };

  // `request` is a submit or follow with this tag. A submit that is to survive a lost connection asks for
  // StreamAccepted.
  static constexpr std::uint64_t tag = 1;
  Session(FrameStream::Options stream, Options options);

  // Where the stream breaks it goes on over another one, from the byte after the last that was printed.
  // Throws Error where the daemon refuses the request, no longer knows the task, or stays away.
  End follow(const v1::ClientFrame& request);

  OutputPrinter& printer() { return printer_; }

 private:
  struct Left {};  // thrown to leave at once

  void connect_first();
  void read_until_result();
  bool read_until_lost();
  void connect_again(const ConnectionLost& lost);
  v1::ClientFrame request_again() const;
  void pause(std::chrono::milliseconds duration);
  bool take_frame(std::string_view payload);
  bool wait_for_room(int fd);
  void wait_for_frames();
  void take_signal();
  void cancel();

  Options options_;
  SignalWatch signals_;
  FrameStream::Options stream_;
  std::unique_ptr<FrameStream> frames_;  // none while there is no connection
  Reconnection reconnection_;
  v1::ClientFrame request_;
  OutputPrinter printer_;
  v1::ServerFrame frame_;      // reused
  std::uint32_t attempt_ = 0;  // whose output was printed last
  std::uint64_t offset_ = 0;   // where to go on in it
  bool again_ = false;         // the task is followed over another connection than the first
  bool started_ = false;       // told only where the request wants it
  bool interrupted_ = false;   // a Ctrl-C was forwarded
  End end_;
};

}  // namespace poold::cli
