// Every command of the table loads and has a help text; shapes are docker's.

import assert from "node:assert/strict";
import { test } from "node:test";
import { main } from "./main.ts";
import { commandGroups, topCommands } from "./registry.ts";

async function run(argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const seen = { out: "", err: "" };
  const code = await main(argv, {
    env: { HOME: "/root" },
    out: async (text) => void (seen.out += text.toString()),
    err: (text) => void (seen.err += text.toString()),
    errDrained: async (text) => void (seen.err += text.toString()),
  });
  return { code, ...seen };
}

const paths = [
  ...[...topCommands.keys()].map((name) => [name]),
  ...[...commandGroups].flatMap(([group, { commands }]) => [...commands.keys()].map((name) => [group, name])),
];

for (const path of paths)
  test(`gantry ${path.join(" ")} --help describes the command`, async () => {
    const { code, out, err } = await run([...path, "--help"]);
    assert.deepEqual([code, err], [0, ""]);
    assert.ok(out.startsWith(`Usage:  gantry ${path.join(" ")}`), out);
    assert.ok(
      out.split("\n").every((line) => line.length <= 80 || line.startsWith("  gantry")),
      out,
    );
  });

test("aliases lead to the same command", async () => {
  for (const [path, alias] of [
    [
      ["container", "ls"],
      ["container", "list"],
    ],
    [
      ["image", "rm"],
      ["image", "remove"],
    ],
    [
      ["network", "ls"],
      ["network", "list"],
    ],
  ] as const) {
    const named = (await run([...path, "--help"])).out.replace(/^Usage: .*/, "");
    assert.equal((await run([...alias, "--help"])).out.replace(/^Usage: .*/, ""), named);
  }
});

test("help of the program, of groups and `help COMMAND`", async () => {
  const root = await run([]);
  assert.match(root.out, /^Usage: {2}gantry \[OPTIONS\] COMMAND\n\n.*\n\nCommon Commands:\n {2}run {9}/);
  assert.match(root.out, /\nGlobal Options:\n {6}--config string/);
  assert.equal((await run(["--help"])).out, root.out);
  assert.equal((await run(["help", "ps"])).out, (await run(["ps", "--help"])).out);
  assert.match((await run(["help", "image"])).out, /^Usage: {2}gantry image COMMAND\n/);
  assert.match((await run(["image"])).err, /^Usage: {2}gantry image COMMAND\n/);
  assert.match((await run(["-v"])).out, /^Gantry version \S+, build \S+\n$/);
});

test("hosts and contexts that cannot be are refused before anything is sent", async () => {
  for (const [argv, message] of [
    [["-H", "unix:///a", "-H", "unix:///b", "ps"], "Specify only one -H\n"],
    [["-H", "unix:///a", "-c", "x", "ps"], "conflicting options: cannot specify both --host and --context\n"],
    [["-l", "loud", "ps"], "Unable to parse logging level: loud\n"],
    [["-H", "nope", "ps"], "unable to parse docker host `nope`\n"],
  ] as const)
    assert.deepEqual(await run(argv), { code: 1, out: "", err: message });
});
