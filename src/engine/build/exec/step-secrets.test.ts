import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BuildClient } from "../client.ts";
import type { StepMount } from "../graph/index.ts";
import { openAccess } from "./step-secrets.ts";

test("a step that opens an agent's socket again and again takes a bounded number of connections", async () => {
  const directory = mkdtempSync(join(tmpdir(), "agents-"));
  const sockets: Socket[] = [];
  const asked: number[] = [];
  const client = {
    connectAgent: () => {
      asked.push(1);
      return Promise.resolve(new PassThrough());
    },
  } as unknown as BuildClient;
  const mount: Extract<StepMount, { type: "ssh" }> = {
    type: "ssh",
    id: "default",
    target: "/run/agent",
    required: true,
    mode: 0o600,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  };
  try {
    using access = await openAccess(directory, new Map(), new Set([mount]), [], client, new AbortController().signal);
    const [{ tree } = assert.fail()] = access.mounts;
    assert.ok(tree.kind === "path");
    for (let n = 0; n < 150; n++) sockets.push(connect(tree.path).on("error", () => undefined));
    while (asked.length < 64) await sleep(10);
    await sleep(100);
    assert.equal(asked.length, 64);
    for (const socket of sockets) socket.destroy();
    await sleep(100);
    sockets.push(connect(tree.path));
    while (asked.length < 65) await sleep(10);
  } finally {
    for (const socket of sockets) socket.destroy();
    rmSync(directory, { recursive: true });
  }
});
