// What the CLI sends, and what it says about command lines that cannot be, compared with recordings of the real docker CLI
// (testdata/requests.json, made by tools/record-cli-requests.ts). A server of the test's own stands in for the daemon.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { main } from "./main.ts";

interface Recording {
  readonly argv: readonly string[];
  readonly method?: string;
  readonly url?: string;
  readonly body?: unknown;
  readonly registryAuth?: unknown;
  readonly exitCode?: number;
  readonly stderr?: string;
}

const data = new URL("testdata/", import.meta.url);
const recordings = JSON.parse(readFileSync(new URL("requests.json", data), "utf8")) as readonly Recording[];

/** Differences that are meant, by the joined command line: what docker does and gantry does not, and why. */
const meant: ReadonlyMap<string, string> = new Map([
  [
    "run --cpu-count 2 --cpu-percent 3 --io-maxbandwidth 1m --io-maxiops 4 --isolation process busybox",
    "the daemon refuses Windows's flags",
  ],
  ["inspect --type bogus x", "covered by the kinds that gantry has"],
  ["network connect a/b c/d", "a name cannot leave its part of the path"],
  ["volume inspect a/b", "a name cannot leave its part of the path"],
  [
    "run --mount type=bind,source=/a,target=/b,bind-create-src=true busybox",
    "docker has bind-create-src as of a later release",
  ],
  ["create --volume-driver d -v v:/x busybox", "docker takes a single letter for a drive of Windows"],
  ["run -v a::b busybox", "docker takes a single letter for a drive of Windows"],
  ["network rm ", 'docker says "exit status 1" once more'],
]);

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly body: unknown;
  readonly registryAuth: unknown;
}

let directory = "";
let home = "";
let server: Server;
let seen: Seen | undefined;

function parseBody(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  response.setHeader("API-Version", "1.50");
  response.setHeader("Content-Type", "application/json");
  const url = (request.url ?? "").replace(/^\/v[\d.]+/, "");
  if (url === "/_ping") response.end();
  else if (/^\/containers\/[^/]+\/json/.test(url)) response.end(JSON.stringify({ Id: "c", State: {}, Config: {} }));
  else {
    const auth = request.headers["x-registry-auth"];
    const registryAuth = typeof auth === "string" ? parseBody(Buffer.from(auth, "base64url").toString()) : undefined;
    const body = parseBody(Buffer.concat(chunks).toString("utf8"));
    seen ??= { method: request.method ?? "", url, body, registryAuth };
    response.statusCode = 418;
    response.end(JSON.stringify({ message: "recorded" }));
  }
}

before(async () => {
  home = process.cwd();
  directory = mkdtempSync(join(tmpdir(), "cli-requests-"));
  mkdirSync(join(directory, "src"));
  const files = JSON.parse(readFileSync(new URL("files.json", data), "utf8")) as Readonly<Record<string, string>>;
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  process.chdir(directory);
  server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(join(directory, "api.sock"), resolve));
});

after(() => {
  process.chdir(home);
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function run(argv: readonly string[]): Promise<{ exitCode: number; stderr: string }> {
  seen = undefined;
  let stderr = "";
  const err = (text: string | Buffer): void => void (stderr += text.toString());
  const exitCode = await main(["-H", `unix://${join(directory, "api.sock")}`, ...argv], {
    env: { FROM_HOST: "host value", DOCKER_CONFIG: directory },
    out: async () => undefined,
    err,
    errDrained: async (text) => err(text),
  });
  return { exitCode, stderr };
}

/** Query parameters in any order; paths of the recording's directory as this one's; environments in any order. */
function normalize(request: Recording | Seen): unknown {
  const url = new URL(request.url ?? "", "http://x");
  const text = JSON.stringify(request.body ?? null).replaceAll(
    "/tmp/gantry-recording",
    join(tmpdir(), basename(directory)),
  );
  const body = JSON.parse(text) as Record<string, unknown> | null;
  if (body !== null && Array.isArray(body["Env"])) body["Env"] = [...(body["Env"] as string[])].sort();
  const ipam = body?.["IPAM"] as { Config?: { readonly Subnet?: string }[] } | undefined;
  // docker sends pools in the order of a hash.
  ipam?.Config?.sort((a, b) => ((a.Subnet ?? "") < (b.Subnet ?? "") ? -1 : 1));
  return {
    method: request.method,
    path: url.pathname,
    query: [...url.searchParams].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    body,
    registryAuth: request.registryAuth,
  };
}

function asGantry(text: string): string {
  return text
    .replaceAll("docker: ", "gantry: ")
    .replace(/\bdocker (?=\S)/g, "gantry ")
    .replaceAll("'docker ", "'gantry ")
    .replace("\nSRun", "\nRun")
    .replaceAll(/Usage: {2}docker\b/g, "Usage:  gantry");
}

for (const recording of recordings) {
  const line = recording.argv.join(" ");
  if (meant.has(line)) continue;
  if (recording.method !== undefined) {
    test(`sends docker's request: ${line}`, async () => {
      const { stderr } = await run(recording.argv);
      assert.ok(seen !== undefined, `nothing was sent: ${stderr}`);
      assert.deepEqual(normalize(seen), normalize(recording));
    });
  } else {
    test(`complains as docker does: ${line}`, async () => {
      const { exitCode, stderr } = await run(recording.argv);
      const expected = asGantry(recording.stderr ?? "").replaceAll("/tmp/gantry-recording", directory);
      assert.equal(stderr, expected);
      assert.equal(exitCode, recording.exitCode);
    });
  }
}

test("there are recordings enough to mean something", () => {
  assert.ok(recordings.filter(({ url }) => url?.startsWith("/containers/create")).length >= 60);
});
