// A secret's value is nowhere after a build: not in the data root (layers, history, cache, database), the run directory, the debug log,
// events, or what any endpoint says. Needs root.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cliArgv } from "../support/cli.ts";
import { runCommand, startDaemon } from "../support/daemon.ts";

test("the value of a secret is in no layer, history, cache, database, log, event or run directory", async () => {
  await using daemon = await startDaemon({ args: ["--debug"] });
  const scratch = mkdtempSync(join(tmpdir(), "gantry-secret-"));
  const value = `s3cr3t-${randomBytes(16).toString("hex")}`;
  const since = Math.floor(Date.now() / 1000) - 1;
  try {
    writeFileSync(join(scratch, "secret"), value);
    writeFileSync(
      join(scratch, "Dockerfile"),
      `FROM busybox
RUN --mount=type=secret,id=s --mount=type=secret,id=s,env=TOKEN test "$(cat /run/secrets/s)" = "$TOKEN" && sha256sum /run/secrets/s > /sum
RUN --mount=type=cache,target=/c --mount=type=secret,id=s,target=/etc/s,mode=0444 wc -c < /etc/s > /c/count
RUN --mount=type=secret,id=s ls -la /run/secrets && FAIL
`,
    );
    const host = ["-H", `unix://${daemon.socket}`];
    const build = [
      ...cliArgv(),
      ...host,
      "build",
      "--progress",
      "plain",
      "--secret",
      `id=s,src=${join(scratch, "secret")}`,
    ];
    const failed = await runCommand([...build, "-t", "s:1", scratch]);
    assert.equal(failed.code, 1, failed.stderr);
    assert.match(failed.stderr, /FAIL/);
    writeFileSync(
      join(scratch, "Dockerfile"),
      'FROM busybox\nRUN --mount=type=secret,id=s,env=TOKEN test -n "$TOKEN" && echo $TOKEN | sha256sum > /sum\n',
    );
    const done = await runCommand([...build, "-t", "s:2", "--attest", "type=provenance,mode=max", scratch]);
    assert.equal(done.code, 0, done.stderr);
    // What looks in is not blind.
    assert.equal((await runCommand(["grep", "-rqaF", value, scratch])).code, 0);
    const inside = await runCommand(["grep", "-rlaF", value, daemon.dataRoot, daemon.execRoot, daemon.logFile]);
    assert.deepEqual([inside.code, inside.stdout], [1, ""]);
    for (const path of ["/images/s:2/json", "/images/s:2/history", "/system/df", "/gantry/check"])
      assert.ok(!(await daemon.api("GET", path)).text.includes(value), path);
    const events = await daemon.api("GET", `/events?since=${since}&until=${Math.floor(Date.now() / 1000)}`);
    assert.ok(events.text.length > 0 && !events.text.includes(value), "events");
    const saved = await daemon.api("GET", "/images/s:2/get");
    assert.ok(saved.bytes.length > 0 && !saved.bytes.includes(value), "saved image");
    assert.ok(!failed.stderr.includes(value) && !done.stderr.includes(value), "progress");
    await daemon.stop();
    const after = await runCommand(["grep", "-rlaF", value, daemon.dataRoot, daemon.execRoot, daemon.logFile]);
    assert.deepEqual([after.code, after.stdout], [1, ""]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
});
