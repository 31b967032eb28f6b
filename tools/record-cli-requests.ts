// Records what the real docker CLI sends for command lines of `run`, `create`, `exec` and the commands about images: a tiny HTTP server stands in for the
// daemon. The result is committed (src/apps/cli/testdata/requests.json), so that the tests need no docker CLI.
// Usage: node tools/record-cli-requests.ts   (docker CLI 28 on PATH)

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Recording {
  readonly argv: readonly string[];
  readonly method?: string;
  readonly url?: string;
  readonly body?: unknown;
  /** X-Registry-Auth, decoded. */
  readonly registryAuth?: unknown;
  readonly exitCode?: number;
  readonly stderr?: string;
}

const data = new URL("../src/apps/cli/testdata/", import.meta.url);
const lines = JSON.parse(readFileSync(new URL("command-lines.json", data), "utf8")) as readonly (readonly string[])[];

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function parseBody(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

async function record(argv: readonly string[], socket: string, cwd: string): Promise<Recording> {
  let seen: { method: string; url: string; body: unknown; registryAuth: unknown } | undefined;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    void (async () => {
      const body = await readBody(request);
      response.setHeader("API-Version", "1.50");
      response.setHeader("Content-Type", "application/json");
      response.setHeader("Ostype", "linux");
      const url = (request.url ?? "").replace(/^\/v[\d.]+/, "");
      if (url === "/_ping") return response.end("OK");
      if (url === "/info") return response.end(JSON.stringify({ OSType: "linux" }));
      if (/^\/containers\/[^/]+\/json/.test(url))
        return response.end(JSON.stringify({ Id: "c", State: {}, Config: {} }));
      const auth = request.headers["x-registry-auth"];
      const registryAuth = typeof auth === "string" ? parseBody(Buffer.from(auth, "base64url").toString()) : undefined;
      seen ??= { method: request.method ?? "", url, body: parseBody(body), registryAuth };
      response.statusCode = 418;
      return response.end(JSON.stringify({ message: "recorded" }));
    })();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const child = spawn("docker", ["-H", `unix://${socket}`, ...argv], {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"], HOME: cwd, DOCKER_CONFIG: cwd, FROM_HOST: "host value" },
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
  const exitCode = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? -1)));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return seen === undefined ? { argv, exitCode, stderr } : { argv, ...seen };
}

const scratch = mkdtempSync(join(tmpdir(), "record-"));
const cwd = "/tmp/gantry-recording";
rmSync(cwd, { recursive: true, force: true });
mkdirSync(join(cwd, "src"), { recursive: true });
const files = JSON.parse(readFileSync(new URL("files.json", data), "utf8")) as Readonly<Record<string, string>>;
for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
const recordings: Recording[] = [];
for (const [index, argv] of lines.entries()) {
  recordings.push(await record(argv, join(scratch, `${index}.sock`), cwd));
}
writeFileSync(new URL("requests.json", data), `[\n${recordings.map((r) => JSON.stringify(r)).join(",\n")}\n]\n`);
rmSync(scratch, { recursive: true, force: true });
rmSync(cwd, { recursive: true, force: true });
