// What command lines complete to without a daemon, and that the tables name commands and flags that there are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { commandGroups, type CommandEntry, type CommandGroup, topCommands } from "../registry.ts";
import { completeLine } from "./complete.ts";
import { argumentKinds, flagKinds } from "./kinds.ts";
import { globalFlags } from "../global-flags.ts";

async function words(...line: readonly string[]): Promise<readonly string[]> {
  return (await completeLine(line, {})).candidates.map(({ word }) => word);
}

test("commands, groups and their commands are completed", async () => {
  assert.deepEqual(await words("vo"), ["volume"]);
  assert.deepEqual(await words("volume", "snapshot", ""), ["create", "ls", "rm"]);
  assert.deepEqual(await words("-D", "--log-level", "debug", "net"), ["network"]);
  assert.deepEqual(await words("help", "volume", "cr"), ["create"]);
  assert.deepEqual(await words("nope", ""), []);
  assert.ok(!(await words("_")).includes("__complete"), "what is not for people is not offered");
});

test("flags are completed, and the values of those that have a choice", async () => {
  assert.deepEqual(await words("volume", "create", "--d"), ["--driver"]);
  assert.deepEqual(await words("run", "--pull", "a"), ["always"]);
  assert.deepEqual(await words("run", "--pull=n"), ["--pull=never"]);
  assert.deepEqual(await words("-l", "d"), ["debug"]);
  assert.deepEqual(await words("run", "-it", "busybox", "--p"), [], "what comes after the image is the container's");
  assert.deepEqual(await words("completion", ""), ["bash", "fish", "zsh"]);
});

test("files complete where a file is meant", async () => {
  const files = async (...line: readonly string[]): Promise<string> => (await completeLine(line, {})).files;
  assert.equal(await files("volume", "import", ""), "all");
  assert.equal(await files("volume", "export", "-o", ""), "all");
  assert.equal(await files("build", ""), "directories");
  assert.equal(await files("cp", "./a"), "all");
  assert.equal(await files("--config", ""), "directories");
  assert.equal(await files("volume", "create", ""), "none");
});

function entriesOf(groups: Iterable<CommandGroup>): readonly CommandEntry[] {
  return [...groups].flatMap(({ commands, groups: inner }) => [
    ...commands.values(),
    ...entriesOf(inner?.values() ?? []),
  ]);
}

test("every command and flag of the tables exists", async () => {
  const entries = [...topCommands.values(), ...entriesOf(commandGroups.values())];
  const names = new Set(entries.map(({ aliases }) => aliases[0]));
  for (const name of Object.keys(argumentKinds)) assert.ok(names.has(name), name);
  const loaded = await Promise.all(entries.map((entry) => entry.load()));
  const flags = new Set(loaded.flatMap(({ command }) => command.flags.map(({ name }) => name)));
  for (const { name } of globalFlags({})) flags.add(name);
  for (const name of Object.keys(flagKinds)) assert.ok(flags.has(name), name);
});
