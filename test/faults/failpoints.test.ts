// Every failpoint in turn: the daemon is killed there, or the step fails there, in the middle of a container's life. Afterwards a
// daemon without failpoints must find nothing wrong, and every container must be removable and its name free again.
// FAILPOINT_KINDS names other kinds than "kill9,error": enospc, delay(50).

import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildBundle } from "../support/bundle.ts";
import { TestDaemon } from "../support/daemon.ts";
import { configOf, dockerArchive } from "../support/image-archives.ts";
import { TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";

const root = join(import.meta.dirname, "../..");

/** The names of all failpoints in the sources of one room. */
function failpointsIn(room: string): string[] {
  const names = new Set<string>();
  for (const file of globSync(`src/engine/${room}/**/*.ts`, {
    cwd: root,
    exclude: (path) => path.endsWith(".test.ts"),
  })) {
    for (const m of readFileSync(join(root, file), "utf8").matchAll(/failpoint\(\s*"([^"]+)"/g)) names.add(m[1] ?? "");
  }
  return [...names].sort();
}

const names = ["containers", "images", "network", "snapshots", "volumes"].flatMap(failpointsIn);
const kinds = (process.env["FAILPOINT_KINDS"] ?? "kill9,error").split(",");
const bundle = buildBundle();
after(() => bundle[Symbol.dispose]());

const layer = tarOf(file("a", "a"));
const archive = dockerArchive([{ config: configOf([layer]), layers: [layer], tags: ["fp:1"] }]);

/** Parts of a life, and the names of the failpoints that each is there for; what is not asked for is left out. */
const parts = {
  images: /^(?:images|snapshots)\./,
  volumes: /^volume\./,
  networks: /network\./,
  execs: /\.exec\./,
  commits: /\.commit\./,
  renames: /\.rename\./,
  pauses: /pause\./,
  /** A second run, and one that ends and removes itself. */
  ends: /^container\.(?!create|exec|commit|rename|pause|unpause|network)/,
} as const;
type Part = keyof typeof parts;
const allParts: ReadonlySet<Part> = new Set(Object.keys(parts) as Part[]);

function partsFor(failpoint: string): ReadonlySet<Part> {
  return new Set([...allParts].filter((part) => parts[part].test(failpoint)));
}

/** A container's life through every verb, and what else is asked for; an answer may be an error. Returns the answers' texts. */
async function live(daemon: TestDaemon, registry: TestRegistry, asked: ReadonlySet<Part>): Promise<string> {
  let said = "";
  const call = async (method: string, path: string, body?: unknown): Promise<{ readonly Id?: string }> => {
    const answer = await daemon.api(method, path, body);
    said += `${answer.text}\n`;
    return answer.json ?? {};
  };
  const config = {
    Image: "busybox",
    Cmd: ["sleep", "100000"],
    StopSignal: "SIGKILL",
    // The first is there already and is filled, the second is new and is filled, the third is new and empty.
    HostConfig: { Binds: ["fpvol:/etc", "fpnew:/usr", "/empty"] },
  };
  if (asked.has("images")) {
    await call("POST", "/images/load?quiet=1", archive);
    await call("POST", `/images/fp:1/tag?repo=${registry.address}/fp&tag=1`);
    await call("POST", `/images/${registry.address}/fp/push?tag=1`);
    await call("DELETE", "/images/fp:1");
    await call("DELETE", `/images/${registry.address}/fp:1`);
    await call("POST", `/images/create?fromImage=${registry.address}/fp&tag=1`);
    await call("POST", `/images/${registry.address}/fp:1/tag?repo=fp&tag=1`);
    await call("DELETE", `/images/${registry.address}/fp:1`);
    await call("POST", `/images/create?fromImage=${registry.address}/pulled&tag=1`);
    await call("DELETE", `/images/${registry.address}/pulled:1`);
  }
  await call("POST", "/volumes/create", { Name: "fpvol" });
  await call("POST", "/containers/create?name=fp", config);
  await call("POST", "/containers/fp/start");
  if (asked.has("volumes")) {
    await call("POST", "/volumes/fpvol/snapshots", { Name: "fpsnap" });
    await call("PUT", "/containers/fp/archive?path=/etc", layer);
    await call("POST", "/volumes/fpvol/restore?snapshot=fpsnap");
    await call("DELETE", "/volumes/fpvol/snapshots/fpsnap");
    await call("POST", "/volumes/import?name=fpimported", layer);
  }
  if (asked.has("execs")) {
    const exec = await call("POST", "/containers/fp/exec", { Cmd: ["true"], AttachStdout: true });
    await call("POST", `/exec/${exec.Id}/start`, { Detach: false });
  }
  if (asked.has("renames")) {
    await call("POST", "/containers/fp/rename?name=fp2");
    await call("POST", "/containers/fp2/rename?name=fp");
  }
  if (asked.has("networks")) {
    await call("POST", "/networks/create", { Name: "fpnet" });
    await call("POST", "/networks/fpnet/connect", { Container: "fp" });
    await call("POST", "/networks/fpnet/disconnect", { Container: "fp" });
    await call("DELETE", "/networks/fpnet");
  }
  if (asked.has("commits")) await call("POST", "/commit?container=fp&repo=fp&tag=committed");
  if (asked.has("pauses")) {
    await call("POST", "/containers/fp/pause");
    await call("POST", "/containers/fp/unpause");
  }
  if (asked.has("ends")) {
    await call("POST", "/containers/fp/stop");
    await call("POST", "/containers/fp/start");
  }
  await call("DELETE", "/containers/fp?force=1&v=1");
  for (const volume of ["fpvol", "fpnew", "fpimported"]) await call("DELETE", `/volumes/${volume}?force=1`);
  if (asked.has("ends")) {
    await call("POST", "/containers/create?name=fp", {
      ...config,
      Cmd: ["true"],
      HostConfig: { AutoRemove: true, Binds: ["/empty"] },
    });
    await call("POST", "/containers/fp/start");
    // Its removal may be what fails.
    const deadline = performance.now() + 1000;
    while ((await daemon.api("GET", "/containers/fp/json")).status === 200 && performance.now() < deadline)
      await sleep(20);
  }
  if (asked.has("images")) {
    await call("DELETE", "/images/fp:1");
    // Whatever became of the removal: what comes again is whole.
    await call("POST", "/images/load?quiet=1", archive);
  }
  return said;
}

/** Whether answers or the log have the fault. A full disk may be told in other words than it came. */
function tellsOf(text: string, name: string, kind: string): boolean {
  return text.includes(`failpoint ${name}`) || (kind === "enospc" && text.includes(": no space left on device"));
}

async function answers(daemon: TestDaemon): Promise<boolean> {
  return daemon.api("GET", "/_ping").then(
    () => true,
    () => false,
  );
}

/** What the check still finds after a while; "" for nothing. */
async function findings(daemon: TestDaemon, patienceMs: number): Promise<string> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await daemon.api("GET", "/gantry/check");
    const found = answer.json as readonly unknown[];
    if (answer.status === 200 && found.length === 0) return "";
    if (performance.now() > deadline) return answer.text;
    await sleep(100);
  }
}

async function noFindings(daemon: TestDaemon, context: string): Promise<void> {
  const found = await findings(daemon, 10_000);
  if (found !== "") assert.fail(`${context}: ${found}\n${daemon.log.slice(-4000)}`);
}

test("there are failpoints between the steps of create, start, exec, stop and remove", () => {
  for (const verb of ["create", "start", "exec", "exit", "remove"]) {
    assert.ok(
      names.some((name) => name.includes(verb)),
      `no failpoint in ${verb}: ${names.join(", ")}`,
    );
  }
});

/** What must hold after a fault, on a daemon without one: nothing is wrong, and names and all verbs are there again. */
async function recovered(daemon: TestDaemon, registry: TestRegistry, context: string): Promise<void> {
  await noFindings(daemon, context);
  await isFreeAgain(daemon, registry, context, true);
  await noFindings(daemon, `${context}, afterwards`);
}

/** Everything can be removed, and a name be used again. */
async function isFreeAgain(daemon: TestDaemon, registry: TestRegistry, context: string, runs: boolean): Promise<void> {
  for (const container of ["fp", "fp2"]) {
    const removed = await daemon.api("DELETE", `/containers/${container}?force=1&v=1`);
    assert.ok([204, 404].includes(removed.status), `${context}: remove answers ${removed.status} ${removed.text}`);
  }
  const again = await daemon.api("POST", "/containers/create?name=fp", { Image: "busybox", Cmd: ["true"] });
  assert.equal(again.status, 201, `${context}: the name is not free: ${again.text}`);
  if (runs) {
    assert.equal((await daemon.api("POST", "/containers/fp/start")).status, 204, `${context}: start`);
    assert.equal((await daemon.api("POST", "/containers/fp/wait")).status, 200);
  }
  assert.equal((await daemon.api("DELETE", "/containers/fp")).status, 204, `${context}: remove`);
  for (const image of [`${registry.address}/pulled:1`, `${registry.address}/fp:1`, "fp:1", "fp:committed"]) {
    const untagged = await daemon.api("DELETE", `/images/${image}`);
    assert.ok([200, 404].includes(untagged.status), `${context}: rmi answers ${untagged.status} ${untagged.text}`);
  }
  const network = await daemon.api("DELETE", "/networks/fpnet");
  assert.ok([204, 404].includes(network.status), `${context}: network rm answers ${network.status} ${network.text}`);
  const { Volumes } = (await daemon.api("GET", "/volumes")).json as {
    readonly Volumes: readonly { readonly Name: string }[];
  };
  for (const { Name } of Volumes) {
    assert.ok(["fpvol", "fpnew", "fpimported"].includes(Name), `${context}: volume ${Name} is left`);
    const gone = await daemon.api("DELETE", `/volumes/${Name}?force=1`);
    assert.equal(gone.status, 204, `${context}: volume rm answers ${gone.status} ${gone.text}`);
  }
  assert.deepEqual(readdirSync(join(daemon.dataRoot, "volumes")), [], `${context}: directories of volumes`);
}

/** One fault from the daemon's start on, and what a daemon without faults makes of it. Returns whether it was met. */
async function sweep(daemon: TestDaemon, registry: TestRegistry, name: string, kind: string): Promise<boolean> {
  const logged = daemon.log.length;
  const started = await daemon.start({ GANTRY_FAILPOINTS: `${name}=${kind}` }).then(
    () => true,
    () => false,
  );
  const said = started ? await live(daemon, registry, allParts).catch(() => "") : "";
  const met = kind === "kill9" ? !(await answers(daemon)) : tellsOf(`${said}${daemon.log.slice(logged)}`, name, kind);
  if (started) await daemon.kill9();
  await daemon.start();
  await recovered(daemon, registry, `${kind} at ${name}`);
  await daemon.stop();
  return met;
}

/** Resolves when the log says that work which no request waits for has failed; false when the signal is aborted before. */
async function failedBehind(daemon: TestDaemon, logged: number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (/ msg="the end of container \w+ failed"/.test(daemon.log.slice(logged))) return true;
    await sleep(20);
  }
  return false;
}

/**
 * The faults one after the other in a single daemon, or in the one that comes after it was killed. What an operation that was cut in the
 * middle has left is the next daemon's to find, as is a container's end that was not recorded: only then there is another one. Returns
 * the faults that were met; the others are for `sweep`: a daemon that starts meets them, or one that lives through everything.
 */
async function sweepInOne(daemon: TestDaemon, registry: TestRegistry, kind: string): Promise<readonly string[]> {
  const armed = join(daemon.dir, "failpoints");
  const met: string[] = [];
  writeFileSync(armed, "");
  await daemon.start({ GANTRY_FAILPOINTS_FILE: armed });
  for (const name of names) {
    const logged = daemon.log.length;
    writeFileSync(armed, `${name}=${kind}`);
    const life = new AbortController();
    const living = live(daemon, registry, partsFor(name))
      .catch((error: unknown) => String(error))
      .finally(() => life.abort());
    const behind = await failedBehind(daemon, logged, life.signal);
    if (behind) await daemon.kill9();
    const said = await living;
    writeFileSync(armed, "");
    const survived = await answers(daemon);
    assert.ok(survived || behind || kind === "kill9", `${kind} at ${name}: it is gone\n${daemon.log.slice(-4000)}`);
    if (kind === "kill9" ? !survived : tellsOf(`${said}${daemon.log.slice(logged)}`, name, kind)) met.push(name);
    const context = `${kind} at ${name}`;
    if (!survived || (await findings(daemon, 500)) !== "") {
      if (!behind) await daemon.kill9();
      await daemon.start({ GANTRY_FAILPOINTS_FILE: armed });
      await noFindings(daemon, context);
    }
    // What is wrong after this is found after the next one, or at the end.
    await isFreeAgain(daemon, registry, context, name.startsWith("container."));
  }
  await daemon.kill9();
  await daemon.start();
  await recovered(daemon, registry, `a daemon after ${kind} at every failpoint`);
  await daemon.stop();
  return met;
}

describe("failpoints", { concurrency: 2 }, () => {
  for (const kind of kinds) {
    test(`${kind} at every failpoint leaves nothing behind`, { timeout: 600_000 }, async (t) => {
      // One data root for all: what one fault leaves would be found by the next.
      await using daemon = new TestDaemon({ bundle: bundle.dir });
      await using registry = await TestRegistry.start({ netns: daemon.netns });
      await registry.pushImage("pulled", "1", { layers: [{ tar: tarOf(file("b", "b")) }, { tar: layer }] });
      await daemon.start();
      await daemon.stop();
      const reached = new Set(await sweepInOne(daemon, registry, kind));
      for (const name of names)
        if (!reached.has(name) && (await sweep(daemon, registry, name, kind))) reached.add(name);
      t.diagnostic(`${reached.size} of ${names.length} failpoints met with ${kind}`);
      // A delay leaves no trace by which it could be known.
      if (!kind.startsWith("delay"))
        assert.deepEqual(
          names.filter((name) => !reached.has(name)),
          [],
          "not met",
        );
    });
  }
});
