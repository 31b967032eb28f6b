// Writes what the reference daemon answers to expectations.json: DOCKER_REFERENCE=/path/docker.sock node test/conformance/record.ts
// The daemon must be dockerd 28.5 (API 1.51) with the graph-driver store, and must have no containers and no images.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Observation, observe } from "./client.ts";
import { makeHostDirectory } from "./host-directory.ts";
import { scenarios } from "./scenarios.ts";

const socket = process.env["DOCKER_REFERENCE"];
if (socket === undefined) throw new Error("DOCKER_REFERENCE must name the socket of the reference daemon");
using _ = makeHostDirectory();
const expectations: Record<string, Observation> = {};
for (const step of scenarios) {
  if (expectations[step.name] !== undefined) throw new Error(`two steps are named ${step.name}`);
  expectations[step.name] = await observe(socket, step);
}
const path = join(import.meta.dirname, "expectations.json");
writeFileSync(path, `${JSON.stringify(expectations, undefined, 2)}\n`);
process.stdout.write(`${scenarios.length} answers written to ${path}\n`);
