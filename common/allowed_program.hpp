// Which programs a command pool runs, where its configuration lists them (`allow`). The engine asks before it
// accepts a task, the worker again before it starts one.
//
// Paths are compared as they are written, and nothing is looked up: not in PATH, which a task could set, and
// not through symbolic links. A link that is listed is followed when it is executed (so that /usr/bin/python3
// stays right after an upgrade); another link to a listed program is another program (all of busybox is one
// file).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace poold {

// The listed path that `program`, a command's first word, stands for: itself, or for a word without a slash
// the first whose last part it is. Nothing if it is not listed.
std::optional<std::string_view> find_allowed(std::span<const std::string> allowed, std::string_view program);

// A variable by which a task could put code of its own into a listed program: the dynamic loader's.
bool changes_program(std::string_view variable);

}  // namespace poold
