// A program that is a worker by itself: what it needs it gets ready once, before it serves, and keeps between
// tasks. Configure a pool with it, and call its functions by name:
//
//   pools:
//     words: {kind: function, program: [/path/to/worker, /usr/share/dict/words]}
//
//   $ poolctl run --pool words --function known poold
//
// Build it with `pkg-config --cflags --libs poold`, or with find_package(poold) and poold::poold.
#include <poold/worker.hpp>

#include <fstream>
#include <stdexcept>
#include <string>
#include <unordered_set>

namespace {

std::unordered_set<std::string> words;

bool known(const std::string& word) {
  if (word.empty()) throw std::invalid_argument("a word has letters");  // its task has RAISED
  return words.contains(word);
}

std::int64_t count() { return static_cast<std::int64_t>(words.size()); }

}  // namespace

POOLD_FUNCTION("known", known);
POOLD_FUNCTION("count", count);

int main(int argc, char** argv) {
  if (argc != 2) return poold::refuse("expected one argument, a file of words");
  std::ifstream file(argv[1]);
  if (!file) return poold::refuse(std::string("cannot read ") + argv[1]);  // shown by `poolctl pool show`
  for (std::string word; file >> word;) words.insert(word);
  return poold::serve({.agent = "words/1.0"});
}
