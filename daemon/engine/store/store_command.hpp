// What a person does with a store's file while no daemon uses it: poold-engine store VERB FILE [TARGET],
// started by `poold store`, which holds the locks meanwhile.
//
// Each verb reads a copy beside its target: nothing here changes the file, which may be damaged.
#pragma once

#include <string>
#include <vector>

namespace poold::engine {

// The program's exit code: 0, or 1 where something is wrong or was lost.
int run_store_command(const std::vector<std::string>& arguments);

}  // namespace poold::engine
