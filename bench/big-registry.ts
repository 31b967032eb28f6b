// A registry that makes its one image up: four layers of 1 GiB, plain tars, generated while they are sent. Run inside a
// network namespace by cases/big-pull.ts; says "ready" on stdout when it serves.

import { createHash } from "node:crypto";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { once } from "node:events";

const layers = 4;
const fileBytes = 1 << 30;
const chunk = Buffer.alloc(1 << 20);
for (let at = 0; at < chunk.length; at += 4) chunk.writeUInt32LE((at * 2654435761) >>> 0, at);

function header(name: string): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, size: number): void =>
    void block.write(value.toString(8).padStart(size - 1, "0"), at);
  block.write(name, 0);
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(fileBytes, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\u000000", 257);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}

function* tar(layer: number): Generator<Buffer> {
  yield header(`big-${layer}`);
  for (let sent = 0; sent < fileBytes; sent += chunk.length) yield chunk;
  yield Buffer.alloc(1024);
}

function digestOf(parts: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return `sha256:${hash.digest("hex")}`;
}

const digests = Array.from({ length: layers }, (_, layer) => digestOf(tar(layer)));
const config = Buffer.from(
  JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    rootfs: { type: "layers", diff_ids: digests },
  }),
);
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf([config]), size: config.length },
    layers: digests.map((digest) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest,
      size: fileBytes + 1536,
    })),
  }),
);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? "";
  const layer = digests.findIndex((digest) => path.endsWith(digest));
  if (path.includes("/manifests/")) {
    response.writeHead(200, {
      "Content-Type": manifestType,
      "Content-Length": manifest.length,
      "Docker-Content-Digest": digestOf([manifest]),
    });
    response.end(request.method === "HEAD" ? undefined : manifest);
  } else if (layer >= 0) {
    response.writeHead(200, { "Content-Length": fileBytes + 1536 });
    for (const part of tar(layer)) if (!response.write(part)) await once(response, "drain");
    response.end();
  } else if (path.includes("/blobs/")) response.end(config);
  else response.end("{}");
}

const server = createServer((request, response) => void answer(request, response));
server.listen(5001, "127.0.0.1", () => process.stdout.write("ready\n"));
