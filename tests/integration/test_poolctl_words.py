"""What poolctl's help, its manual and its completion say: the same. And that shells complete with it."""

import os
import pathlib
import re
import subprocess
import unittest

import harness

MANUAL = pathlib.Path(__file__).resolve().parents[2] / "client/man/poolctl.1.scd"
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[a-zA-Z0-9])(?![\w-])")


def run(*arguments, **options):
    return subprocess.run([str(harness.BIN / "poolctl"), *arguments], capture_output=True, text=True, check=False, timeout=60 * harness.PATIENCE,
                          env={**os.environ, "NO_COLOR": "1", "POOLD_SOCKET": "/no/such/socket"}, **options)


class Help:
    """What `poolctl ... --help` says, for poolctl itself and each verb below it."""

    def __init__(self):
        self.options = {}  # by place: "", "run", "pool scale"
        self.names = {"": ["poolctl"]}
        self.read("")

    def read(self, place):
        ended = run(*place.split(), "--help")
        assert ended.returncode == 0, ended.stderr
        section, self.options[place], below = "", set(), []
        for line in ended.stdout.splitlines():
            if re.fullmatch(r"\S.*:", line):
                section = line[:-1]
            elif section in ("Options", "OPTIONS") and re.match(r"  -", line):
                head = re.split(r"\s{2,}", line.strip())[0]
                self.options[place].update(OPTION.findall(head))
            elif section in ("Tasks", "Administration", "Verbs") and re.match(r"  \w", line):
                below.append(line.split()[0].rstrip(","))
        for verb in below:
            self.read(f"{place} {verb}".strip())


class Manual:
    """The options that the manual lists, by verb: its own, and those of the sections that its heading names."""

    def __init__(self):
        text = MANUAL.read_text(encoding="utf-8")
        self.sections = {}  # heading: the options listed there
        heading = ""
        for line in text.splitlines():
            if line.startswith("#"):
                heading = line.lstrip("# ")
                assert heading not in self.sections, f"{heading} stands in the manual twice"
                self.sections[heading] = set()
            elif re.match(r"\*-", line):
                self.sections[heading].update(OPTION.findall(line.replace("*", "")))
        verbs = [(re.match(r"[a-z ]*[a-z]", heading).group(), heading) for heading in re.findall(r"(?m)^## (.*)$", text)]
        self.verbs = dict(verbs)
        assert len(self.verbs) == len(verbs), "a verb stands in the manual twice"

    def options(self, place):
        """None if there is no such verb."""
        if place == "":
            return self.sections["OPTIONS"]
        heading = self.verbs.get(place)
        if heading is None:
            return None
        named = [name for name in ("WORK OPTIONS", "SELECTORS") if f"[{name}]" in heading]
        return self.sections[heading].union(*(self.sections[name] for name in named))


GLOBAL_OF_VERBS = {"-h", "--help"}


class Words(unittest.TestCase):
    def setUp(self):
        self.help = Help()
        self.manual = Manual()
        self.assertGreater(len(self.help.options), 20)

    def test_the_manual_has_what_the_help_has_and_nothing_else(self):
        for place, options in self.help.options.items():
            own = options - (GLOBAL_OF_VERBS if place else set())
            is_noun = place and any(other.startswith(place + " ") for other in self.help.options)
            listed = set() if is_noun else self.manual.options(place)
            self.assertIsNotNone(listed, f"the manual has no section '## {place}'")
            self.assertEqual(own, listed, f"poolctl {place}: help on the left, manual on the right")

    def test_the_manual_has_no_other_verbs(self):
        self.assertEqual(set(self.manual.verbs) - set(self.help.options), set())

    def test_completion_has_what_the_help_has_and_nothing_else(self):
        tables = {"bash": self.bash_table(), "zsh": self.zsh_table(), "fish": self.fish_table()}
        for shell, table in tables.items():
            for place, options in self.help.options.items():
                # poolctl's own options may follow any verb.
                expected = options | ((self.help.options[""] - {"--version", "-h", "--help"}) if place else set())
                self.assertEqual(table.pop(place, None), expected, f"{shell}, poolctl {place}")
            self.assertEqual(table, {}, shell)

    @staticmethod
    def bash_table():
        text = run("completion", "bash").stdout
        return {place: set(options.split()) for place, options in re.findall(r"(?m)^    '([a-z ]*)'\)\n      options='([^']*)'", text)}

    @staticmethod
    def zsh_table():
        text = run("completion", "zsh").stdout
        found = re.findall(r"(?m)^    '([a-z ]*)'\)\n      flags=\(\n((?:        '.*\n)*)", text)
        return {place: set(re.findall(r"(?m)^        '(-[-\w]*):", options)) for place, options in found}

    @staticmethod
    def fish_table():
        table = {}
        for place, rest in re.findall(r"(?m)^complete -c poolctl -n '__poolctl_is ([a-z ]*)'(.*)$", run("completion", "fish").stdout):
            options = re.split(r" (?:-d|-x|-r)\b", rest)[0].split()
            table.setdefault(place, set()).update(
                ("--" if kind == "-l" else "-") + name for kind, name in zip(options[::2], options[1::2]) if kind in ("-l", "-s"))
        return {place: options for place, options in table.items() if not place.endswith(" command")}

    def test_exit_codes_are_in_the_manual(self):
        text = MANUAL.read_text(encoding="utf-8").split("# EXIT STATUS")[1]
        for code in re.findall(r"\b(\d+) [a-z]", run("--help").stdout.split("Exit codes:")[1].split("run:")[0]):
            self.assertRegex(text, rf"(?m)^\*{code}\*")


BASH = r"""
source <({poolctl} completion bash)
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_poolctl 2>&1
printf '%s\n' "${{COMPREPLY[@]}}"
"""


class Shells(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "mathematics": harness.FUNCTIONS}).wait_ready()

    def environment(self):
        return {**self.here.poolctl_environment(), "PATH": f"{harness.BIN}:{os.environ['PATH']}", "HOME": str(self.here.directory)}

    def ask(self, *line, script, environment=None):
        ended = subprocess.run([*line, script], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60 * harness.PATIENCE,
                               cwd=self.here.directory, env=environment or self.environment())
        self.assertEqual(ended.stderr, "")
        return ended.stdout.splitlines()

    def bash(self, words, **options):
        """`words` as bash would split them; the last is what is being typed."""
        return self.ask("bash", "--norc", "-c", script=BASH.format(poolctl="poolctl", words=words), **options)

    def fish(self, line):
        script = f"source (poolctl completion fish | psub); complete -C '{line}'"
        return [found.split("\t")[0] for found in self.ask("fish", "--no-config", "-c", script=script)]

    def submit(self):
        return self.here.poolctl("submit", "--name", "sleeper", "--", "sleep", "60").stdout.strip()

    def test_bash(self):
        self.assertEqual(self.bash("poolctl ca"), ["cancel"])
        self.assertEqual(self.bash("poolctl --json ret"), ["retry"])
        self.assertEqual(self.bash("poolctl map --keep"), ["--keep-order"])
        self.assertEqual(self.bash("poolctl run --pool m"), ["mathematics"])
        self.assertEqual(self.bash("poolctl run --pool = m"), ["mathematics"])
        self.assertEqual(self.bash("poolctl -o ''"), ["table", "json", "ndjson"])
        self.assertEqual(self.bash("poolctl pool s"), ["show", "scale"])
        self.assertEqual(self.bash("poolctl pool scale m"), ["mathematics"])
        self.assertEqual(self.bash("poolctl ls --lim"), ["--limit"])
        self.assertIn("true", self.bash("poolctl run --name x tru"))
        (self.here.directory / "some-file").touch()
        self.assertEqual(self.bash("poolctl run -- cat some"), ["some-file"])
        self.assertEqual(self.bash("poolctl map --joblog some"), ["some-file"])

    def test_bash_knows_the_tasks_of_now(self):
        task_id = self.submit()
        self.assertEqual(self.bash("poolctl wait ''"), [task_id])
        self.assertEqual(self.bash("poolctl retry ''"), [""])
        self.here.poolctl("cancel", task_id)
        self.assertEqual(self.bash("poolctl wait ''"), [""])
        self.assertEqual(self.bash("poolctl retry ''"), [task_id])
        self.assertEqual(self.bash("poolctl log ''"), [task_id])

    def test_fish(self):
        task_id = self.submit()
        self.assertEqual(self.fish("poolctl canc"), ["cancel"])
        self.assertEqual(self.fish("poolctl map --keep"), ["--keep-order"])
        self.assertEqual(self.fish("poolctl run --pool m"), ["mathematics"])
        self.assertEqual(self.fish("poolctl pool scale m"), ["mathematics"])
        self.assertEqual(self.fish("poolctl --color a"), ["always", "auto"])
        self.assertEqual(self.fish("poolctl cancel "), [task_id])
        (self.here.directory / "some-file").touch()
        self.assertEqual(self.fish("poolctl run -- cat some"), ["some-file"])
        self.here.poolctl("cancel", task_id)

    def test_zsh(self):
        # Its completion needs a terminal to show itself on; compadd is asked what it was given.
        script = r"""
autoload -Uz compinit && compinit -u -d "$HOME/zcompdump"
source <(poolctl completion zsh)
found=()
_describe() {
  [[ $1 == -o || $1 == -V ]] && shift
  local -a all=("${(@P)2}")
  found+=("${(@)all%%:*}")
}
compadd() { shift; found+=("${(@P)1}") }
_files() { found+=(FILES) }
ask() {
  words=("$@") CURRENT=$# PREFIX=${words[-1]} found=()
  _poolctl
  print -r -- ${(M)found:#$PREFIX*}
}
ask poolctl canc
ask poolctl map --keep
ask poolctl run --pool m
ask poolctl pool scale m
ask poolctl --color a
ask poolctl cancel ''
ask poolctl map --joblog F
"""
        task_id = self.submit()
        self.assertEqual(self.ask("zsh", "-f", "-c", script=script),
                         ["cancel", "--keep-order", "mathematics", "mathematics", "auto always", task_id, "FILES"])
        self.here.poolctl("cancel", task_id)

    def test_without_a_daemon_there_is_silence(self):
        nowhere = {**self.environment(), "POOLD_SOCKET": "/no/such/socket"}
        self.assertEqual(self.bash("poolctl run --pool m", environment=nowhere), [""])
        for what in ("pools", "tasks", "unfinished", "ended"):
            ended = run("completion", what)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))


if __name__ == "__main__":
    harness.main()
