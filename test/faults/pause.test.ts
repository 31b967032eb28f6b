// A pause that cannot be recorded: the container must not stay frozen, for then nothing could end it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestDaemon } from "../support/daemon.ts";

test("a container whose pause could not be recorded runs on, and stops", async () => {
  await using daemon = new TestDaemon({ fromSource: true });
  await daemon.start({ GANTRY_FAILPOINTS: "container.pause.frozen=enospc" });
  await daemon.dockerOk(["run", "-d", "--name", "cold", "busybox", "sleep", "1000"]);
  assert.equal((await daemon.docker(["pause", "cold"])).code, 1);
  assert.equal(await daemon.dockerOk(["exec", "cold", "echo", "awake"]), "awake");
  await daemon.dockerOk(["stop", "-t", "0", "cold"]);
  assert.equal(await daemon.dockerOk(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "cold"]), "exited 137");
});
