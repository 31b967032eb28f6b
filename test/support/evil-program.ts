// The evil registry as a program, for a network namespace: prints its two addresses, then takes the name of a behaviour a line and
// answers each with "ready"; "seen" is answered with the credentials that the other host was sent.

import { createInterface } from "node:readline";
import { type BehaviourName, behaviours } from "./evil-behaviours.ts";
import { EvilRegistry } from "./evil-registry.ts";

const registry = await EvilRegistry.start();
process.stdout.write(`${registry.address}\n`);
for await (const line of createInterface(process.stdin)) {
  if (line === "seen") {
    const leaked = registry.requests.filter(({ authorization, elsewhere }) => elsewhere && authorization !== undefined);
    process.stdout.write(`${JSON.stringify(leaked.map(({ path }) => path))}\n`);
  } else if (line in behaviours) {
    registry.behave(line as BehaviourName);
    process.stdout.write("ready\n");
  } else process.stdout.write(`unknown ${line}\n`);
}
await registry[Symbol.asyncDispose]();
