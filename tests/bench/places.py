"""Where things are, and the way to what the integration tests have for starting and asking daemons."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE / "peers"

sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "integration"))
