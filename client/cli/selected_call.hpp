// A call about tasks that ids or conditions choose, as cancel, retry, hold and release make it. What they
// print is their own business.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "client/cli/context.hpp"
#include "client/cli/selector_options.hpp"

namespace poold::cli {

// Ids one by one, so that one that cannot be had is named; conditions in one call, again while there are more
// of them. Returns the ids of all answers. `between` is told of every answer before the next call.
template <class Request, class Response>
Response call_selected(Context& context, const char* method, const SelectorOptions& options,
                       v1::Selector selector, const std::function<void(const Response&)>& between = nullptr) {
  Response all, response;
  Request request;
  if (options.only_ids()) {
    for (const std::string& id : options.ids) {
      request.set_id(id);
      context.call_quietly(method, request, response);
      all.mutable_ids()->MergeFrom(response.ids());
    }
    return all;
  }
  *request.mutable_selector() = std::move(selector);
  do {
    context.call_quietly(method, request, response);
    all.mutable_ids()->MergeFrom(response.ids());
    if (between && response.more()) between(response);
  } while (response.more() && response.ids_size() > 0);
  return all;
}

}  // namespace poold::cli
