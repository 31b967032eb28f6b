// A02, CVE-2026-6406: every way in which a request can name a path of the host. Whatever the way, a path that is not absolute or has a
// NUL byte never becomes a running container, nothing is made for it, and a path that is used is told by inspect: whoever decides
// over requests or looks at containers has to know no way better than another.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { describeTree } from "../support/tree.ts";

let daemon: TestDaemon;
const host = mkdtempSync(join(tmpdir(), "gantry-host-paths-"));
before(async () => {
  for (const name of ["given", "other"]) mkdirSync(join(host, name));
  writeFileSync(join(host, "given/file"), "of the host\n");
  daemon = await startDaemon();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(host, { recursive: true, force: true });
});

/** HostConfig that shows `source` at /m. */
const ways: Readonly<Record<string, (source: string) => object>> = {
  Binds: (source) => ({ Binds: [`${source}:/m`] }),
  "Binds, read-only": (source) => ({ Binds: [`${source}:/m:ro`] }),
  "Mounts of type bind": (Source) => ({ Mounts: [{ Type: "bind", Source, Target: "/m" }] }),
  "Mounts of type bind that make their source": (Source) => ({
    Mounts: [{ Type: "bind", Source, Target: "/m", BindOptions: { CreateMountpoint: true } }],
  }),
  "options of a volume": (device) => ({
    Mounts: [
      {
        Type: "volume",
        Source: "given",
        Target: "/m",
        VolumeOptions: { DriverConfig: { Name: "local", Options: { type: "none", o: "bind", device } } },
      },
    ],
  }),
  "options of an anonymous volume": (device) => ({
    Mounts: [
      {
        Type: "volume",
        Target: "/m",
        VolumeOptions: { DriverConfig: { Name: "local", Options: { type: "none", o: "rbind,ro", device } } },
      },
    ],
  }),
  "lower directories of a volume": (path) => ({
    Mounts: [
      {
        Type: "volume",
        Source: "merged",
        Target: "/m",
        VolumeOptions: {
          DriverConfig: {
            Name: "local",
            Options: { type: "overlay", device: "overlay", o: `lowerdir=${path}:${host}/other` },
          },
        },
      },
    ],
  }),
  Devices: (PathOnHost) => ({ Devices: [{ PathOnHost, PathInContainer: "/m", CgroupPermissions: "r" }] }),
};

interface Tried {
  readonly started: boolean;
  readonly said: string;
  readonly told: string;
}

async function tryWith(HostConfig: object): Promise<Tried> {
  const request = { Image: "busybox", Cmd: ["cat", "/m/file"], HostConfig };
  const created = await daemon.api("POST", "/containers/create?name=tried", request);
  if (created.status !== 201) {
    assert.ok(created.status >= 400 && created.status < 500, `${created.status} ${created.text}`);
    return { started: false, said: created.text, told: "" };
  }
  const answer = await daemon.api("POST", "/containers/tried/start");
  if (answer.status === 204) await daemon.api("POST", "/containers/tried/wait");
  const logs = answer.status === 204 ? await daemon.api("GET", "/containers/tried/logs?stdout=1") : answer;
  const told = (await daemon.api("GET", "/containers/tried/json")).text;
  const volumes = (await daemon.api("GET", "/volumes")).text;
  await daemon.api("DELETE", "/containers/tried?force=1&v=1");
  for (const volume of ["given", "merged"]) await daemon.api("DELETE", `/volumes/${volume}`);
  return { started: answer.status === 204, said: logs.text, told: told + volumes };
}

test("A02: a path of the host that is none starts no container and makes nothing, whatever way it is named", async () => {
  const untouched = describeTree(host);
  for (const [way, config] of Object.entries(ways)) {
    for (const source of ["../given", "", `${host}/given\0/x`, `${host}/given/file/x`]) {
      const { started, said } = await tryWith(config(source));
      assert.ok(!started, `${way}: ${JSON.stringify(source.slice(0, 80))} starts`);
      assert.notEqual(said, "", way);
      assert.doesNotMatch(said, /of the host/, way);
    }
  }
  assert.deepEqual(describeTree(host), untouched);
  assert.equal(await daemon.dockerOk(["volume", "ls", "-q"]), "");
});

test("A02: a path of the host that a container is given is told by inspect, whatever way it was named", async () => {
  const given = join(host, "given");
  for (const [way, config] of Object.entries(ways)) {
    if (way === "Devices") continue;
    const { started, said, told } = await tryWith(config(given));
    assert.ok(started, `${way}: ${said}`);
    assert.match(said, /of the host/, way);
    assert.ok(told.includes(given), `${way}: ${told}`);
  }
  await daemon.dockerOk(["create", "--name", "owner", "-v", `${given}:/m`, "busybox", "true"]);
  const { said, told } = await tryWith({ VolumesFrom: ["owner:ro"] });
  assert.match(said, /of the host/);
  assert.match(told, new RegExp(`"Source":"${given}"`));
  await daemon.dockerOk(["rm", "owner"]);
});
