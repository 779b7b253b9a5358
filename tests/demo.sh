#!/usr/bin/env bash
# The main job, shown end to end: tests/demo.sh BIN_DIRECTORY (./dev demo calls it). Thousands of real files are hashed by a private daemon
# while somebody keeps killing its workers, and every hash is compared with sha256sum's own. Ends with 0 only if every result was right and
# nothing was left behind. demo_hash.py submits the tasks and does the killing.
set -euo pipefail

usage='usage: tests/demo.sh BIN_DIRECTORY   (the folder with poold and poolctl; ./dev demo builds and names it)'
case ${1:-} in
  -h | --help)
    echo "$usage"
    exit 0
    ;;
esac
if (($# != 1)) || [[ ! -x $1/poold ]]; then
  printf '%s\n' "tests/demo.sh: expected one folder with poold in it; got '$*'" "$usage" >&2
  exit 2
fi
bin=$(cd -- "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$(cd "$here/../client/python" && pwd)
examples=$(cd "$here/../client/examples" && pwd)
files_wanted=2500
began=$(date +%s%N)

work=$(mktemp -d "${TMPDIR:-/tmp}/poold-demo.XXXXXX")
export POOLD_SOCKET=$work/control.sock
daemon=
trap 'status=$?; [[ -z $daemon ]] || kill -KILL "$daemon" 2>/dev/null || true; rm -rf "$work"; exit $status' EXIT

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
section() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
poolctl() { "$bin/poolctl" "$@"; }
verdict() {
  printf '\n%s%s%s  (%d.%d s)\n' "$bold" "$2" "$plain" $((($(date +%s%N) - began) / 1000000000)) $((($(date +%s%N) - began) / 100000000 % 10))
  exit "$1"
}
failed() {
  [[ -s $work/log ]] && { section "Log of the daemon"; tail -n 20 "$work/log"; }
  verdict 1 "FAILED: $1"
}

section "Start a private daemon"
cat > "$work/poold.yaml" <<YAML
stop_timeout: 5s
pools:
  files: {kind: command, workers: 4, crash_attempts: 100, env: {POOL_DEMO: $work}}
  math:  {kind: function, plugin: libpoold_examples.so, workers: 2, env: {POOL_DEMO: $work}}
  py:
    kind: function
    program: [/usr/bin/python3, -m, poold.worker, poold_examples]
    env: {POOL_DEMO: $work, PYTHONPATH: "$python:$python/examples"}
    workers: 2
  shell: {kind: function, protocol: lines, program: ["$examples/worker.sh"], workers: 2, env: {POOL_DEMO: $work}}
YAML
"$bin/poold" --config "$work/poold.yaml" --state-dir "$work/state" 2> "$work/log" &
daemon=$!
for ((i = 0; i < 500; i++)); do
  poolctl daemon info > "$work/info" 2>/dev/null && break
  kill -0 "$daemon" 2>/dev/null || failed "the daemon did not start"
  sleep 0.01
done
cat "$work/info"

section "Find files"
# From the packages' documentation first; from headers and libraries until there are enough.
{ find /usr/share/doc /usr/include /usr/lib -xdev -type f -readable -size -4096k -print 2> /dev/null || true; } |
  { LC_ALL=C grep -x '[ -~]*' || true; } |  # names that a list of lines and JSON can hold
  head -n "$files_wanted" > "$work/files"
count=$(wc -l < "$work/files")
printf '%d files, the first is %s\n' "$count" "$(head -n 1 "$work/files")"
((count >= 2000)) || failed "fewer than 2,000 files"

section "Hash them, one task a file, and kill a random worker every 100 ms"
/usr/bin/python3 "$here/demo_hash.py" "$POOLD_SOCKET" "$work/files" "$work/hashes" || failed "the hashing"

section "Compare with sha256sum run directly"
xargs -d '\n' sha256sum -- < "$work/files" > "$work/expected" || failed "sha256sum itself"
cmp "$work/expected" "$work/hashes" || failed "the hashes differ"
printf '%d hashes are the same\n' "$(wc -l < "$work/hashes")"

section "Once more, 300 of them, as one line of shell: poolctl map -k --joblog"
head -n 300 "$work/files" | poolctl map --pool files -k --no-progress --joblog "$work/joblog" -- sha256sum {} > "$work/mapped" || failed "poolctl map"
cmp <(head -n 300 "$work/expected") "$work/mapped" || failed "map's hashes, or their order"
(($(wc -l < "$work/joblog") == 301)) || failed "the joblog has $(wc -l < "$work/joblog") lines, not 301"
printf 'the same, in the same order; the log of jobs begins\n'
head -n 3 "$work/joblog"

section "Call functions, in C++ and in Python"
show() {
  local pool=$1 expected=$2 got
  shift 2
  got=$(poolctl run --pool "$pool" --function "$@") || failed "function $1"
  printf '%-5s %-34s -> %s\n' "$pool" "$*" "$got"
  [[ $got == "$expected" ]] || failed "expected $expected"
}
show math 42 add 20 22
show math '"hello"' echo hello
status=0
poolctl run --pool math --function crash 2> "$work/crash" || status=$?
printf '%-5s %-34s -> %s\n' math "crash" "$(head -n 1 "$work/crash")"
((status == 1)) || failed "a function that crashes should end poolctl with 1, not $status"
show math 3 add 1 2
show py 6 add 1 2 3
show py '"Hi Ann!"' greet Ann

section "Call a function of a worker in shell, which reads and writes lines of JSON"
grep -vE '^#( |!)' "$examples/worker.sh"
first=$(head -n 1 "$work/files")
show shell "$(stat -c %s "$first")" size "$first"
head -n 200 "$work/files" | poolctl map --pool shell -k --no-progress --function size {} > "$work/sizes" || failed "poolctl map with the worker in shell"
head -n 200 "$work/files" | xargs -d '\n' stat -L -c %s -- | cmp - "$work/sizes" || failed "the sizes differ"
printf '200 sizes are the same as those of stat\n'

section "poolctl ps --state succeeded (the last five)"
poolctl ps --state succeeded > "$work/ps" || failed "poolctl ps"
head -n 6 "$work/ps"
section "poolctl pool ls"
poolctl pool ls || failed "poolctl pool ls"
section "poolctl worker ls"
poolctl worker ls || failed "poolctl worker ls"

section "Stop the daemon"
read -ra family < "/proc/$daemon/task/$daemon/children" || true  # the kernel ends the line with nothing
poolctl daemon stop || failed "poolctl daemon stop"
status=0
wait "$daemon" || status=$?
daemon=
printf 'poold ended with %d\n' "$status"
((status == 0)) || failed "the daemon's exit code"
[[ ! -e $POOLD_SOCKET ]] || failed "the socket is still there"
left=$(grep -lsz "^POOL_DEMO=$work\$" /proc/[0-9]*/environ 2>/dev/null || true)
[[ -z $left ]] || failed "processes are left behind: $left"
for pid in "${family[@]}"; do [[ ! -e /proc/$pid ]] || failed "process $pid is left behind"; done
printf 'its engine, %d workers and all they ran are gone\n' $((${#family[@]} - 1))

# It is to be shorter than anybody's patience.
(($(date +%s%N) - began < 40000000000)) || failed "it took more than 40 s"
verdict 0 "ALL RIGHT: every result was right"
