// Debian's docker-registry for benches: one process in each contender's network namespace, so that every contender reaches
// it at 127.0.0.1:5000 and nothing else does.

import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchImages } from "./debian-image.ts";

/** Where contenders find it. */
export const registryAddress = "127.0.0.1:5000";

export interface BenchRegistry {
  stop(): Promise<void>;
}

/** @param namespace undefined for this process's own */
export async function startRegistry(directory: string, namespace: string | undefined): Promise<BenchRegistry> {
  const config = join(directory, "config.yml");
  writeFileSync(
    config,
    [
      "version: 0.1",
      "log: { level: error, accesslog: { disabled: true } }",
      `storage: { filesystem: { rootdirectory: ${join(directory, "data")} }, delete: { enabled: true } }`,
      `http: { addr: ${registryAddress} }`,
      "",
    ].join("\n"),
  );
  const child = spawnInside(namespace, ["docker-registry", "serve", config]);
  await answers(namespace);
  return {
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await gone;
    },
  };
}

function spawnInside(namespace: string | undefined, argv: readonly [string, ...string[]]): ChildProcess {
  const [program, ...rest] = argv;
  return namespace === undefined
    ? spawn(program, rest, { stdio: "ignore" })
    : spawn("nsenter", [`--net=/run/netns/${namespace}`, ...argv], { stdio: "ignore" });
}

/** Tried with a program that can be put into the namespace. */
async function answers(namespace: string | undefined): Promise<void> {
  const script = `exec 3<>/dev/tcp/${registryAddress.replace(":", "/")}`;
  for (let attempt = 0; attempt < 100; attempt++) {
    const probe = spawnInside(namespace, ["bash", "-c", script]);
    const status = await new Promise((resolve) => probe.once("exit", resolve));
    if (status === 0) return;
    await sleep(50);
  }
  throw new Error(`docker-registry does not answer at ${registryAddress}`);
}

/** Puts images into the storage under `directory`, by a registry in this process's namespace. */
export async function fillRegistry(directory: string, images: BenchImages["images"]): Promise<void> {
  const registry = await startRegistry(directory, undefined);
  try {
    for (const { name, manifest, blobs } of images) {
      const base = `http://${registryAddress}/v2/${name}`;
      for (const { digest, bytes } of blobs) {
        const begun = await fetch(`${base}/blobs/uploads/`, { method: "POST" });
        const location = new URL(begun.headers.get("location") ?? "", base);
        location.searchParams.set("digest", digest);
        await expectOk(await fetch(location, { method: "PUT", body: new Uint8Array(bytes) }), `blob ${digest}`);
      }
      const headers = { "Content-Type": "application/vnd.docker.distribution.manifest.v2+json" };
      await expectOk(
        await fetch(`${base}/manifests/latest`, { method: "PUT", headers, body: new Uint8Array(manifest) }),
        name,
      );
    }
  } finally {
    await registry.stop();
  }
}

async function expectOk(response: Response, what: string): Promise<void> {
  if (!response.ok) throw new Error(`registry: ${what}: ${response.status} ${await response.text()}`);
}
