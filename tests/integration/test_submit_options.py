"""Every option of a submission from each of the four that can say it: poolctl, JSON over HTTP, C++ and Python.

ROWS is the table: a line for each field of TaskSpec (and of Command) that is an option. What was submitted is read back with Tasks/Get and has
to be the same whoever said it. A field of the contract without a line here, or without words in one of the four, fails.
"""

import dataclasses
import datetime
import os
import subprocess
from typing import Any

import harness
import python_pool  # noqa: F401  (which knows where the package is)
from control import ConnectError

import poold
from poold import errors
from poold.v1 import task_pb2

IMPOSSIBLE = object()  # the language's types leave no room for such a mistake
PARENT = "PARENT"  # stands for the id of a task that is there
AT = datetime.datetime(2029, 1, 31, 12, tzinfo=datetime.timezone.utc)
SECOND = 1_000_000_000
NO_TIME = "more than no time"


@dataclasses.dataclass
class Row:
    """One option. Right: how each says it, and what Tasks/Get then tells (JSON's own words, unless `told`). Wrong: the same with a value that is
    refused, and the word by which the refusal tells what would be right."""

    field: str
    poolctl: list
    json: Any
    python: Any
    cpp: list
    wrong_poolctl: list
    wrong_json: Any
    wrong_python: Any
    wrong_cpp: Any
    accepted: Any  # a word, or words in this order
    told: Any = None
    code: str = "invalid_argument"

    @property
    def json_name(self):
        head, *rest = self.field.split(".")[-1].split("_")
        return head + "".join(word.title() for word in rest)

    def words(self):
        return self.accepted if isinstance(self.accepted, list) else [self.accepted] * 4


def seconds(field, option, zero=False):
    """An option that is a duration. Zero: no time at all is right, too."""
    wrong = ("soon", "soon", "soon", f"-{SECOND}") if zero else ("0s", "0s", 0, f"-{SECOND}")
    python = "seconds" if zero else NO_TIME
    return Row(field, [option, "1500ms"], "1.500s", datetime.timedelta(seconds=1.5), [3 * SECOND // 2], [option, wrong[0]], wrong[1], wrong[2], [wrong[3]],
               ["accepted: 500ms, 30s", "1.5s" if zero else NO_TIME, python, "a duration of at most ten years"])


CONTROL = "control characters are not accepted"
ATTEMPTS = ["a whole number from 0 to 1000000", "a whole number from 0 to", "a whole number is wanted", "more than 1000000"]
ROWS = [
    Row("pool", ["--pool", "other"], "other", "other", ["other"], ["--pool", "no"], "no", "no", ["no"], "there is no pool 'no'", code="not_found"),
    Row("name", ["--name", "ü n"], "ü n", "ü n", ["ü n"], ["--name", "a\tb"], "a\tb", "a\tb", ["a\tb"], CONTROL),
    Row("key", ["--key", "k"], "k", "k", ["k"], ["--key", "a\tb"], "a\tb", "a\tb", ["a\tb"], CONTROL),
    Row("priority", ["--priority", "-7"], -7, -7, [-7], ["--priority", "high"], "high", "high", IMPOSSIBLE, "a whole number"),
    Row("attempts", ["--attempts", "3"], 3, 3, [3], ["--attempts", "many"], "many", "many", [1_000_001], ATTEMPTS),
    Row("crash_attempts", ["--crash-attempts", "4"], 4, 4, [4], ["--crash-attempts", "-1"], -1, "many", [1_000_001], ATTEMPTS),
    Row("labels", ["--label", "a=b", "--label", "c=d=e"], {"a": "b", "c": "d=e"}, {"a": "b", "c": "d=e"}, ["a=b", "c=d=e"],
        ["--label", "x"], 3, {"a": 3}, ["=x"], ["takes K=V", "an object", "texts are wanted", "an empty key"]),
    seconds("delay", "--delay", zero=True),
    Row("at", ["--at", "2029-01-31T12:00:00Z"], "2029-01-31T12:00:00Z", AT, [int(AT.timestamp())], ["--at", "noon"], "noon", "noon", [2**33],
        ["2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z", "a datetime.datetime", "ten years ahead"]),
    seconds("ttl", "--ttl"),
    Row("after", ["--after", PARENT], [PARENT], [PARENT], [PARENT], ["--after", "x"], ["x"], "x", ["x"], "there is no task 'x'", code="not_found"),
    Row("after_any", ["--after-any", PARENT], [PARENT], [PARENT], [PARENT], ["--after-any", "x"], ["x"], "x", ["x"], "there is no task 'x'",
        code="not_found"),
    Row("on_parent_failure", ["--on-parent-failure", "release"], "RELEASE", "release", ["release"], ["--on-parent-failure", "cry"], "CRY", "cry",
        IMPOSSIBLE, ["cancel,release", "CANCEL, RELEASE", "'cancel' or 'release'", ""]),
    Row("hold", ["--hold"], True, True, ["true"], ["--hold=perhaps"], "perhaps", "perhaps", IMPOSSIBLE, ["", "true or false", "True or False", ""]),
    Row("group", ["--group", "ü g"], "ü g", "ü g", ["ü g"], ["--group", "a\tb"], "a\tb", "a\tb", ["a\tb"], CONTROL),
    Row("after_group", ["--after-group", "others"], "others", "others", ["others"], ["--after-group", "x"], "x", "x", ["x"], "no task of it is known",
        code="not_found"),
    Row("when_full", ["--when-full", "wait"], "WAIT", "wait", ["wait"], ["--when-full", "cry"], "CRY", "cry", IMPOSSIBLE,
        ["refuse,wait", "REFUSE, WAIT", "'refuse' or 'wait'", ""]),
    Row("limits", ["--limit", "wide=2", "--limit", "user:42"], {"wide": 2, "user:42": 1}, {"wide": 2, "user:42": 1}, ["wide=2", "user:42=1"],
        ["--limit", "wide=0"], {"wide": 0}, {"wide": 0}, ["wide=0"], ["at least 1", "at least one", "at least 1", "at least one"]),
    seconds("backoff", "--backoff", zero=True),
    seconds("backoff_max", "--backoff-max"),
    Row("retry_on", ["--retry-on", "raised,75"], ["RAISED", "75"], ["raised", 75], ["RAISED", "75"], ["--retry-on", "sometimes"], ["SOMETIMES"],
        "sometimes", ["SOMETIMES"], "EXITED, RAISED, SIGNALED, TIMED_OUT, OUT_OF_MEMORY and exit codes 1 to 255"),
    seconds("timeout", "--timeout"),
    seconds("grace", "--grace", zero=True),
    seconds("deadline", "--deadline"),
    Row("command.env", ["--env", "A=b c"], {"A": "b c"}, {"A": "b c"}, ["A=b c"], ["--env", "=x"], {"": "x"}, {"": "x"}, ["=x"],
        ["takes K=V", "not a variable's name", "not a variable's name", "not a variable's name"]),
    Row("command.cwd", ["--cwd", "/usr"], "/usr", "/usr", ["/usr"], ["--cwd", "/" + "x" * 5000], "here", "here", ["here"], "an absolute path"),
    Row("command.stdin", ["--stdin", "FILE"], "aGk=", b"hi", ["hi"], ["--stdin", "/no/such"], "!", "text", IMPOSSIBLE,
        ["No such file", "base64", "bytes", ""]),
]
WORK = {"command", "function"}
# Of Command: argv and argv_bytes are the words, which are no option.
COMMAND_WORDS = {"argv", "argv_bytes"}


class Refused(Exception):
    """How one of the four tells of a refusal: the protocol's code (for poolctl: by its exit status), and the words."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Options(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon({"default": {"workers": 1}, "other": {"workers": 1}}, limits={"wide": 4}).wait_ready()
        self.control = self.poold.client()
        self.client = poold.Client(self.poold.socket)
        self.addCleanup(self.client.close)
        self.parent = self.control.call("Tasks/Submit", {"command": {"argv": ["true"]}, "hold": True})["id"]
        self.control.call("Tasks/Submit", {"command": {"argv": ["true"]}, "hold": True, "group": "others"})
        self.file = self.poold.directory / "stdin"
        self.file.write_bytes(b"hi")

    # Each of the four: submits `true` in / with these options; the id, or Refused.
    def by_poolctl(self, rows):
        words = [word for _, said in rows for word in said]
        cwd = [] if "--cwd" in words else ["--cwd", "/"]
        ended = self.poold.poolctl("submit", *cwd, *words, "--", "true")
        if ended.returncode == 0:
            return ended.stdout.strip()
        raise Refused({2: "invalid_argument", 3: "not_found"}.get(ended.returncode, ended.returncode), ended.stderr)

    def by_json(self, rows):
        request = {"command": {"argv": ["true"], "cwd": "/"}}
        for row, said in rows:
            (request["command"] if "." in row.field else request)[row.json_name] = said
        try:
            return self.control.call("Tasks/Submit", request)["id"]
        except ConnectError as error:
            raise Refused(error.code, error.message) from None

    def by_python(self, rows):
        options = {"cwd": "/", **{row.field.split(".")[-1]: said for row, said in rows}}
        try:
            return str(self.client.submit(["true"], **options))
        except errors.CallError as error:
            raise Refused(error.code, str(error)) from None
        except (TypeError, ValueError) as error:
            raise Refused("invalid_argument", str(error)) from None

    def by_cpp(self, rows):
        line = [str(harness.BIN / "poold-test-submit"), *(f"{row.field}={value}" for row, said in rows for value in said)]
        ended = subprocess.run(line, env={**os.environ, "POOLD_SOCKET": self.poold.socket}, capture_output=True, text=True, check=False,
                               timeout=60 * harness.PATIENCE)
        if ended.returncode == 0:
            return ended.stdout.strip()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""), ended.stderr)
        code, text = ended.stdout.split("\n", 1)
        raise Refused(code, text)

    def ways(self):
        return {"poolctl": self.by_poolctl, "json": self.by_json, "python": self.by_python, "cpp": self.by_cpp}

    def filled(self, said):
        """The words with the id of the parent and the file in their places."""
        if isinstance(said, list):
            return [self.filled(item) for item in said]
        return {PARENT: self.parent, "FILE": str(self.file)}.get(said, said) if isinstance(said, str) else said

    def submit(self, way, *rows):
        return self.ways()[way]([(row, self.filled(getattr(row, way))) for row in rows])

    def read_back(self, task):
        told = self.control.call("Tasks/Get", {"id": task, "withOptions": True})["task"]
        return {**told["options"], **{f"command.{key}": value for key, value in told["command"].items()}}

    def test_each_option_arrives_the_same_from_everywhere(self):
        for row in ROWS:
            read = {}
            for way in self.ways():
                own = dataclasses.replace(row, poolctl=["--key", "of " + way], json="of " + way, python="of " + way, cpp=["of " + way]) if row.field == "key" else row
                read[way] = self.read_back(self.submit(way, own))
                if row.field == "key":
                    self.assertEqual(read[way].pop("key"), "of " + way)
            name = row.field if "." in row.field else row.json_name
            for way, options in read.items():
                with self.subTest(field=row.field, way=way):
                    self.assertEqual(options, read["json"])
                    if row.field != "key":
                        self.assertEqual(options.get(name), self.filled(row.json if row.told is None else row.told))

    def test_everything_at_once_is_one_task_whoever_submits_it(self):
        """With one key: a payload that differed in anything would be refused as already_exists."""
        self.control.call("Pools/Pause", {"name": "other"})
        rows = [row for row in ROWS if row.field != "delay"]  # either that or `at`
        ids = {way: self.submit(way, *rows) for way in self.ways()}
        self.assertEqual(len(set(ids.values())), 1, ids)
        given = {row.field if "." in row.field else row.json_name: self.filled(row.json) for row in rows}
        told = self.read_back(ids["json"])
        self.assertEqual({name: told[name] for name in given}, given)
        shown = self.poold.poolctl("show", ids["json"]).stdout
        for words in ("user:42, wide=2", "RAISED, 75", self.parent, "1.500 s", "2029-01-31T12:00:00", "when it was submitted", "runs all the same"):
            self.assertIn(words, shown)
        self.control.call("Tasks/Cancel", {"id": ids["json"]})

    def test_wrong_values_are_refused_by_name_with_what_is_right(self):
        for row in ROWS:
            for place, way in enumerate(self.ways()):
                said = getattr(row, "wrong_" + way)
                if said is IMPOSSIBLE:
                    continue
                with self.subTest(field=row.field, way=way):
                    with self.assertRaises(Refused) as caught:
                        self.ways()[way]([(row, said)])
                    refused = caught.exception
                    self.assertEqual(refused.code, row.code, refused.text)
                    named = row.poolctl[0] if way == "poolctl" else row.field.split(".")[-1].replace("_", "")
                    self.assertIn(named, refused.text if way == "poolctl" else refused.text.lower().replace("_", ""))
                    self.assertIn(row.words()[place], refused.text)

    def test_either_a_delay_or_a_time(self):
        both = [row for row in ROWS if row.field in ("delay", "at")]
        for way in self.ways():
            with self.subTest(way), self.assertRaisesRegex(Refused, "either .*delay or .*at") as caught:
                self.submit(way, *both)
            self.assertEqual(caught.exception.code, "invalid_argument")

    def test_no_option_of_the_contract_is_missing(self):
        fields = {field.name for field in task_pb2.TaskSpec.DESCRIPTOR.fields} - WORK
        fields |= {f"command.{field.name}" for field in task_pb2.Command.DESCRIPTOR.fields if field.name not in COMMAND_WORDS}
        self.assertEqual(fields, {row.field for row in ROWS}, "a field of TaskSpec needs a line in ROWS, and words in all four")
        self.assertEqual({row.field.split(".")[-1] for row in ROWS}, poold.spec.OPTIONS | {"env", "cwd", "stdin"}, "Python's options")
        help_text = self.poold.poolctl("submit", "--help").stdout
        manual = (harness.pathlib.Path(__file__).resolve().parents[2] / "client/man/poolctl.1.scd").read_text(encoding="utf-8")
        for row in ROWS:
            self.assertIn(row.poolctl[0], help_text)
            self.assertIn(f"*{row.poolctl[0]}*", manual)


if __name__ == "__main__":
    harness.main()
