// What comes of a Dockerfile is what comes of it in the reference (dockerd 28.5 with buildx 0.29): configuration, history, files,
// or the error. Built with `gantry build`; where it differs on purpose the case says why.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cliArgv } from "../support/cli.ts";
import { runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { buildCases } from "./build-cases.ts";
import { type Api, apiOf, type BuildOutcome, importBase, runBuildCase } from "./build-runs.ts";

const expectations = JSON.parse(readFileSync(join(import.meta.dirname, "build-expectations.json"), "utf8")) as Readonly<
  Record<string, BuildOutcome>
>;

let daemon: TestDaemon;
let api: Api;

before(async () => {
  daemon = await startDaemon();
  api = apiOf(daemon.socket);
  await importBase(api);
});
after(() => daemon[Symbol.asyncDispose]());

for (const testCase of buildCases)
  test(testCase.name, async () => {
    const outcome = await runBuildCase(testCase, api, (args, env) =>
      runCommand([...cliArgv(), "-H", `unix://${daemon.socket}`, "build", ...args], { env }),
    );
    assert.deepEqual(outcome, testCase.deviation?.outcome ?? expectations[testCase.name]);
  });
