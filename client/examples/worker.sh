#!/bin/sh
# A worker in shell, for a pool with `protocol: lines`: a line of JSON is a task, a line of JSON is its result, and what goes to stderr is
# the task's log. Its one function, size, takes the path of a file (without quotes and backslashes in it; jq reads any).
echo '{"hello": {"functions": ["size"]}}'
while IFS= read -r line; do
  case $line in '{"task":'*) ;; *) continue ;; esac # a welcome, a cancel, a stop
  ids=$(expr "$line" : '{"task":{\("task":"[0-9]*","attempt":[0-9]*\)')
  path=$(expr "$line" : '.*"function":{"name":"size","args":\["\([^"\\]*\)"\]}')
  if [ -z "$path" ]; then
    outcome='"kind": "REJECTED", "error": {"type": "TypeError", "message": "expected size(PATH)"}'
  elif bytes=$(wc -c < "$path"); then
    outcome='"kind": "RETURNED", "value": '$bytes
  else
    outcome='"kind": "RAISED", "error": {"type": "IOError", "message": "cannot read the file, see the log"}'
  fi
  echo "{\"result\": {$ids, \"outcome\": {$outcome}}}"
done
