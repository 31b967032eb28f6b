import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePs, parsePsArgs } from "./ps-output.ts";

const output = `UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 21:00 ?        00:00:01 init
root        4711    4700  0 21:34 ?        00:00:00 sleep 10  with blanks
root           -       -  0 21:34 ?        00:00:00 a thread of it
web         4712    4711  0 21:34 ?        00:00:00 sh
`;

test("only lines of the wanted processes, and of their threads, are kept; the last column is the rest", () => {
  assert.deepEqual(parsePs(output, new Set([4711, 4712])), {
    Processes: [
      ["root", "4711", "4700", "0", "21:34", "?", "00:00:00", "sleep 10 with blanks"],
      ["root", "-", "-", "0", "21:34", "?", "00:00:00", "a thread of it"],
      ["web", "4712", "4711", "0", "21:34", "?", "00:00:00", "sh"],
    ],
    Titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
  });
});

test("without a PID column nothing can be told apart", () => {
  assert.throws(() => parsePs("COMMAND\nsh\n", new Set([1])), { message: "Couldn't find PID field in ps output" });
});

test("ps_args are words; the default is -ef; columns cannot be renamed", () => {
  assert.deepEqual(parsePsArgs(""), ["-ef"]);
  assert.deepEqual(parsePsArgs("  aux  -o pid,args "), ["aux", "-o", "pid,args"]);
  assert.throws(() => parsePsArgs("-o pid=PID2"), { kind: "InvalidParameter" });
});
