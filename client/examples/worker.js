#!/usr/bin/env node
// A worker in JavaScript, for a pool with `protocol: lines`. Functions may be asynchronous; console.error() goes to the task's log. One task
// comes at a time, so that a cancel is always about the one that runs.
'use strict';
const readline = require('node:readline');

const functions = {
  upper: (text) => String(text).toUpperCase(),
  sum: (...numbers) => numbers.slice(0, -1).reduce((sum, number) => sum + number, 0),  // the last is keywords and signal
  // Until it is cancelled.
  wait: ({ signal }) => new Promise((resolve, reject) => { signal.onabort = () => reject(signal.reason); }),
};

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
const failure = (kind, error) => ({ kind, error: { type: error.name, message: error.message, traceback: error.stack } });
let running = null;

async function call({ name, args = [], kwargs = {} }) {
  if (!Object.hasOwn(functions, name)) return failure('REJECTED', new TypeError(`there is no function ${name}`));
  running = new AbortController();
  try {
    const value = await functions[name](...args, { ...kwargs, signal: running.signal });
    return { kind: 'RETURNED', value: value ?? null };
  } catch (error) {
    return running.signal.aborted ? { kind: 'CANCELLED' } : failure('RAISED', error);
  } finally {
    running = null;
  }
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { task, cancel } = JSON.parse(line);
  if (cancel && running) running.abort();
  if (task) say({ result: { task: task.task, attempt: task.attempt, outcome: await call(task.spec.function) } });
});

say({ hello: { agent: 'worker.js', functions: Object.keys(functions) } });
