// Runs a case of build-cases.ts on an engine and looks at what came of it, through the Docker API: the same for every engine.

import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { busyboxRoot } from "../support/image.ts";
import type { BuildCase, ContextFile } from "./build-cases.ts";

/** What is compared. */
export interface BuildOutcome {
  /** The last line of what failed, without the client's own words. */
  readonly error?: string;
  readonly config?: unknown;
  readonly history?: readonly { readonly by: string; readonly empty: boolean; readonly comment: string }[];
  /** "path type mode uid:gid link sha256", of what the engines do not make themselves. */
  readonly tree?: readonly string[];
}

export type Api = (
  method: string,
  path: string,
  body?: Uint8Array,
) => Promise<{ readonly status: number; readonly bytes: Buffer }>;

/** Requests to a Docker engine's socket. */
export function apiOf(socket: string): Api {
  return (method, path, body) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly bytes: Buffer }>();
    const headers = body?.[0] === 0x7b ? { "Content-Type": "application/json" } : {};
    const call = request({ socketPath: socket, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end(body);
    return promise;
  };
}

/** Imports the image that the cases call base:1. */
export async function importBase(api: Api): Promise<void> {
  const root = busyboxRoot();
  try {
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1001:\n");
    chmodSync(root, 0o755);
    chmodSync(join(root, "tmp"), 0o1777);
    mkdirSync(join(root, "home/app"), { recursive: true });
    const tar = spawnSync(
      "tar",
      ["-C", root, "--numeric-owner", "--owner=0", "--group=0", "--mtime=@1000000000", "--sort=name", "-cf", "-", "."],
      { maxBuffer: 1 << 28 },
    );
    const change = encodeURIComponent("ENV PATH=/bin");
    const answer = await api("POST", `/images/create?fromSrc=-&repo=base&tag=1&changes=${change}`, tar.stdout);
    if (answer.status !== 200) throw new Error(answer.bytes.toString());
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Writes the context of a case; all times are in 2001. */
export function writeContext(testCase: BuildCase): string {
  const dir = mkdtempSync(join(tmpdir(), "build-case-"));
  const files: Readonly<Record<string, ContextFile>> = {
    ...(testCase.dockerfile === "" ? {} : { Dockerfile: testCase.dockerfile }),
    ...testCase.files,
  };
  for (const [name, file] of Object.entries(files)) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    if (typeof file === "object" && "link" in file) symlinkSync(file.link, path);
    else {
      writeFileSync(path, typeof file === "string" ? file : file.text);
      chmodSync(path, typeof file === "string" ? 0o644 : file.mode);
      utimesSync(path, 1_000_000_000, 1_000_000_000);
    }
  }
  return dir;
}

/**
 * @param build runs the build with these flags behind "build" and answers with its exit code and what it wrote to stderr
 */
export async function runBuildCase(
  testCase: BuildCase,
  api: Api,
  build: (
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ) => Promise<{ readonly code: number; readonly stderr: string }>,
): Promise<BuildOutcome> {
  const dir = writeContext(testCase);
  const iidFile = join(
    tmpdir(),
    `iid-${process.pid}-${createHash("sha256").update(testCase.name).digest("hex").slice(0, 8)}`,
  );
  try {
    const args = (testCase.args ?? []).map((text) => text.replaceAll("{dir}", dir));
    const result = await build(["--progress=plain", `--iidfile=${iidFile}`, ...args, dir], testCase.env ?? {});
    if (result.code !== 0) return pick(testCase, { error: lastError(result.stderr, dir) });
    const isSeen = testCase.ignore?.includes("tree") !== true;
    return pick(testCase, await look(api, readFileSync(iidFile, "utf8").trim(), isSeen));
  } finally {
    rmSync(dir, { recursive: true, force: true });
    rmSync(iidFile, { force: true });
  }
}

function pick(testCase: BuildCase, outcome: BuildOutcome): BuildOutcome {
  const ignored = new Set(testCase.ignore ?? []);
  if (outcome.error !== undefined) return { error: ignored.has("message") ? "(not compared)" : outcome.error };
  return {
    ...(ignored.has("config") ? {} : { config: outcome.config }),
    ...(ignored.has("history")
      ? {}
      : { history: (outcome.history ?? []).map((line) => (ignored.has("empty") ? { ...line, empty: false } : line)) }),
    ...(ignored.has("tree") ? {} : { tree: outcome.tree ?? [] }),
  };
}

function lastError(stderr: string, dir: string): string {
  const line =
    stderr.split("\n").findLast((text) => text.startsWith("ERROR: ")) ?? stderr.trim().split("\n").at(-1) ?? "";
  return line.replace(/^ERROR: (?:failed to build: )?(?:failed to solve: )?/, "").replaceAll(dir, "{dir}");
}

async function look(api: Api, id: string, withTree: boolean): Promise<BuildOutcome> {
  const image = JSON.parse((await api("GET", `/images/${id}/json`)).bytes.toString()) as { readonly Config: unknown };
  const archive = (await api("GET", `/images/${id}/get`)).bytes;
  return { config: image.Config, history: await historyOf(archive), tree: withTree ? await treeOf(api, id) : [] };
}

interface Member {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly link: string;
  readonly data: Buffer;
}

/** Just enough of tar for what engines write. */
function* members(tar: Buffer): Generator<Member> {
  let longName = "";
  let pax: Record<string, string> = {};
  for (let at = 0; at + 512 <= tar.length; ) {
    const header = tar.subarray(at, at + 512);
    if (header.every((byte) => byte === 0)) return;
    const text = (from: number, length: number): string =>
      header.toString("utf8", from, from + length).replace(/\0.*$/s, "");
    const number = (from: number, length: number): number => Number.parseInt(text(from, length).trim() || "0", 8);
    const size = pax["size"] === undefined ? number(124, 12) : Number(pax["size"]);
    const data = tar.subarray(at + 512, at + 512 + size);
    const type = text(156, 1) || "0";
    at += 512 + Math.ceil(size / 512) * 512;
    if (type === "x") {
      pax = Object.fromEntries(
        [...data.toString().matchAll(/\d+ ([^=]+)=(.*)\n/g)].map((m) => [m[1] ?? "", m[2] ?? ""]),
      );
      continue;
    }
    if (type === "L") {
      longName = data.toString().replace(/\0.*$/s, "");
      continue;
    }
    const prefix = text(345, 155);
    const name = pax["path"] ?? (longName === "" ? `${prefix === "" ? "" : `${prefix}/`}${text(0, 100)}` : longName);
    yield {
      name: name.replace(/^\.?\//, "").replace(/\/$/, ""),
      type,
      mode: number(100, 8),
      uid: number(108, 8),
      gid: number(116, 8),
      link: pax["linkpath"] ?? text(157, 100),
      data,
    };
    longName = "";
    pax = {};
  }
}

async function historyOf(archive: Buffer): Promise<NonNullable<BuildOutcome["history"]>> {
  const files = new Map([...members(archive)].map((member) => [member.name, member.data]));
  const [manifest] = JSON.parse(files.get("manifest.json")?.toString() ?? "[]") as { readonly Config: string }[];
  const config = JSON.parse(files.get(manifest?.Config ?? "")?.toString() ?? "{}") as {
    readonly history?: readonly {
      readonly created_by?: string;
      readonly empty_layer?: boolean;
      readonly comment?: string;
    }[];
  };
  return (config.history ?? []).map(({ created_by = "", empty_layer = false, comment = "" }) => ({
    by: created_by,
    empty: empty_layer,
    comment,
  }));
}

/** `etc` alone is what dockerd makes in a container's own layer. */
const engineMade = /^(?:\.dockerenv|dev(?:\/.*)?|proc|sys|bin\/.*|etc|etc\/(?:hosts|hostname|resolv\.conf|mtab))$/;

async function treeOf(api: Api, id: string): Promise<readonly string[]> {
  const body = Buffer.from(JSON.stringify({ Image: id, Cmd: ["x"], Entrypoint: [], Healthcheck: { Test: ["NONE"] } }));
  const created = JSON.parse((await api("POST", "/containers/create", body)).bytes.toString()) as {
    readonly Id?: string;
    readonly message?: string;
  };
  if (created.Id === undefined) throw new Error(created.message);
  try {
    const tar = (await api("GET", `/containers/${created.Id}/export`)).bytes;
    return [...members(tar)]
      .filter(({ name }) => name !== "" && !engineMade.test(name))
      .map(({ name, type, mode, uid, gid, link, data }) => {
        const hash = type === "0" ? createHash("sha256").update(data).digest("hex").slice(0, 12) : "-";
        return `${name} ${type} ${(mode & 0o7777).toString(8)} ${uid}:${gid} ${link === "" ? "-" : link} ${hash}`;
      })
      .sort();
  } finally {
    await api("DELETE", `/containers/${created.Id}?force=1`);
  }
}
