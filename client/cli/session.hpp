// One task followed over a stream until it has ended: run's task, or the one that logs -f looks at. Prints
// its output, and turns signals and a vanished reader into what its owner wants.
#pragma once

#include <string>

#include "client/cli/output_printer.hpp"
#include "client/cli/signal_watch.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "poold/v1/stream.pb.h"

namespace poold::cli {

class Session {
 public:
  struct Options {
    bool raw = false;                // OutputPrinter's
    int stdout_target = 1;           // OutputPrinter's
    bool cancel_on_signal = true;    // a first signal cancels the task; else it ends the session
    bool forward_interrupt = false;  // a first SIGINT is sent to the running command instead
  };

  struct End {
    v1::StreamResult result;   // if `ended`
    bool ended = false;        // else poolctl leaves before the task
    std::string id;            // if the request asked for StreamAccepted
    int signal = 0;            // the signal that cancelled the task or ended the session
    bool reader_gone = false;  // nobody reads our output; the task was cancelled
  };

  // `request` is a submit or follow with this tag.
  static constexpr std::uint64_t tag = 1;
  Session(FrameStream::Options stream, Options options);

  // Throws Error where the daemon refuses the request or the stream breaks.
  End follow(const v1::ClientFrame& request);

  OutputPrinter& printer() { return printer_; }

 private:
  struct Left {};  // thrown to leave at once

  void read_until_result();
  bool take_frame(std::string_view payload);
  bool wait_for_room(int fd);
  void wait_for_frames();
  void take_signal();
  void cancel();

  Options options_;
  SignalWatch signals_;
  FrameStream frames_;
  OutputPrinter printer_;
  v1::ServerFrame frame_;     // reused
  bool started_ = false;      // told only where the request wants it
  bool interrupted_ = false;  // a Ctrl-C was forwarded
  End end_;
};

}  // namespace poold::cli
