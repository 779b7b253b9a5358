// poolctl, the command-line client. What it does is in app.cpp and in one file a verb.
#include "client/cli/app.hpp"

int main(int argc, char** argv) { return poold::cli::run_app(poold::cli::Words(argv + 1, argv + argc)); }
