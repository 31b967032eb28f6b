// Writes what the reference makes of build-cases.ts to build-expectations.json:
//   DOCKER_REFERENCE=/path/docker.sock DOCKER_CONFIG=/dir/with/cli-plugins node test/conformance/record-builds.ts
// The daemon must be dockerd 28.5, the docker CLI must have buildx 0.29.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../support/daemon.ts";
import { buildCases } from "./build-cases.ts";
import { apiOf, type BuildOutcome, importBase, runBuildCase } from "./build-runs.ts";

const socket = process.env["DOCKER_REFERENCE"];
if (socket === undefined) throw new Error("DOCKER_REFERENCE must name the socket of the reference daemon");
const api = apiOf(socket);
await importBase(api);
const outcomes: Record<string, BuildOutcome> = {};
for (const testCase of buildCases) {
  outcomes[testCase.name] = await runBuildCase(testCase, api, (args, env) =>
    runCommand(["docker", "--host", `unix://${socket}`, "buildx", "build", "--provenance=false", ...args], { env }),
  );
  process.stdout.write(`${testCase.name}: ${outcomes[testCase.name]?.error ?? "an image"}\n`);
}
writeFileSync(join(import.meta.dirname, "build-expectations.json"), `${JSON.stringify(outcomes, undefined, 2)}\n`);
