// What is wrong with a request in JSON, said in the contract's words: protobuf tells it in those of its own
// types.
#pragma once

#include <string>
#include <string_view>

namespace poold::engine {

// `text` is the message of JsonStringToMessage's status. "(priority): invalid value "x" for type TYPE_INT32"
// becomes "priority: "x" is not a whole number from -2147483648 to 2147483647"; what is not understood stays
// as it is.
std::string readable_complaint(std::string_view text);

}  // namespace poold::engine
