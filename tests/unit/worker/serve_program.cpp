// A program that is a worker by itself, without a plug-in.
#include "client/cpp/poold/worker.hpp"

POOLD_FUNCTION("square", [](double x) { return x * x; });

int main() { return poold::serve(); }
