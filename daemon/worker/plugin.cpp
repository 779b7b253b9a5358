#include "daemon/worker/plugin.hpp"

#include <dlfcn.h>

namespace poold::worker {
namespace {

// The loader's own words; they begin with the path if the file could be named.
std::string explain(const std::string& path) {
  const char* text = ::dlerror();
  const std::string reason = text ? text : "unknown error";
  return reason.starts_with(path) ? reason : path + ": " + reason;
}

}  // namespace

std::variant<const plugin::Table*, std::string> load_plugin(const std::string& path) {
  // Without a slash dlopen would search the system's library path, which is not where plug-ins are.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return "cannot load the plug-in " + explain(path);
  using GetTable = const plugin::Table*();
  auto* const get_table = reinterpret_cast<GetTable*>(::dlsym(library, plugin::table_symbol));
  if (!get_table)
    return "cannot use the plug-in " + path + ": it has no symbol " + plugin::table_symbol +
           ", so it was not built with poold/function.hpp";
  return get_table();
}

}  // namespace poold::worker
