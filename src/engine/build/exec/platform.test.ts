import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { machineOf, requirePlatform } from "./platform.ts";

const qemuArm64 = `enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POCF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`;

test("an entry of binfmt_misc is for the machine in its magic", () => {
  assert.equal(machineOf(qemuArm64), 183);
  assert.equal(machineOf(qemuArm64.replace("enabled", "disabled")), undefined);
  assert.equal(machineOf("enabled\ninterpreter /usr/bin/python3\nextension .py\n"), undefined);
});

test("a foreign platform needs an interpreter, the host's own and its 32-bit sister do not", () => {
  const directory = mkdtempSync(join(tmpdir(), "binfmt-"));
  try {
    requirePlatform({ os: "linux", architecture: "amd64" }, "amd64", directory);
    requirePlatform({ os: "linux", architecture: "386" }, "amd64", directory);
    const foreign = { os: "linux", architecture: "arm64", variant: "v8" };
    assert.throws(() => requirePlatform(foreign, "amd64", directory), {
      kind: "NotImplemented",
      message: /exec format error.*linux\/arm64\/v8.*qemu-user-static/,
    });
    writeFileSync(join(directory, "status"), "enabled\n");
    writeFileSync(join(directory, "qemu-aarch64"), qemuArm64);
    requirePlatform(foreign, "amd64", directory);
    assert.throws(() => requirePlatform({ os: "linux", architecture: "s390x" }, "amd64", directory));
    assert.throws(() => requirePlatform({ os: "windows", architecture: "amd64" }, "amd64", directory));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
