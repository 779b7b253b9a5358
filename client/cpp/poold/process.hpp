// Processes as classes, for plug-ins and worker programs:
//
//   struct Clock : poold::ProcessClass {
//     void run(const poold::Arguments&) override { while (!poold::cancelled()) ...; }
//   };
//   POOLD_PROCESS("clock", Clock);
//
// It is then the target of a multiprocessing::Process({"clock"}), or of any task. Each run has an object of
// its own.
#pragma once

#include "function.hpp"

namespace poold {

class ProcessClass {
 public:
  virtual ~ProcessClass() = default;
  // What it throws is the outcome RAISED.
  virtual void run(const Arguments& arguments) = 0;
};

}  // namespace poold

// At namespace scope. `Class` is a ProcessClass that can be made without arguments.
#define POOLD_PROCESS(name, Class) \
  POOLD_FUNCTION(name, [](const ::poold::Arguments& arguments) { Class().run(arguments); })
