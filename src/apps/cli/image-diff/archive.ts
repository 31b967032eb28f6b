// An image's archive, as GET /images/get sends it → the tree of its files. Layers are read as they come, in whatever order;
// the manifest says how they lie on each other. Source: docker image spec 1.2 (manifest.json); OCI image-layout.md.

import { Readable } from "node:stream";
import { posix } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { applyLayer, emptyTree, readLayer, type LayerChange, type TreeNode } from "./layer.ts";
import { ByteReader, isTarHeader, tarEntries, type TarEntry } from "./tar-entries.ts";

const maxDocumentBytes = 8 * 1024 * 1024;

/** A compressed stream's bytes. */
function decompressed(bytes: AsyncIterable<Buffer>, magic: Buffer): AsyncIterable<Buffer> | undefined {
  const filter =
    magic[0] === 0x1f && magic[1] === 0x8b
      ? createGunzip()
      : magic.readUInt32LE(0) === 0xfd2fb528
        ? createZstdDecompress()
        : undefined;
  if (filter === undefined) return undefined;
  const source = Readable.from(bytes);
  source.on("error", (error) => filter.destroy(error));
  return source.pipe(filter);
}

async function* whole(reader: ByteReader): AsyncGenerator<Buffer, void, undefined> {
  for (;;) {
    const bytes = await reader.peek(1);
    if (bytes.length === 0) return;
    yield Buffer.from(await reader.read(1));
    const more = await reader.peek(64 * 1024);
    if (more.length > 0) yield Buffer.from(await reader.read(more.length));
  }
}

async function readMember(entry: TarEntry): Promise<readonly LayerChange[] | Buffer | undefined> {
  const reader = new ByteReader(entry.body());
  const start = Buffer.from(await reader.peek(512));
  const plain = start.length >= 4 ? decompressed(whole(reader), start) : undefined;
  if (plain !== undefined) return readLayer(new ByteReader(plain));
  const isTar = start.length === 512 && (isTarHeader(start) || start.every((byte) => byte === 0));
  if (isTar) return readLayer(reader);
  return entry.size <= maxDocumentBytes ? reader.read(entry.size) : undefined;
}

function layersOf(manifest: Buffer | undefined): readonly string[] {
  const entries: unknown = manifest === undefined ? undefined : JSON.parse(manifest.toString("utf8"));
  const first: unknown = Array.isArray(entries) ? entries[0] : undefined;
  const layers = typeof first === "object" && first !== null && "Layers" in first ? first.Layers : undefined;
  if (!Array.isArray(layers)) throw new Error("the daemon's archive has no manifest.json with layers");
  return layers.map(String);
}

/** Reads an archive of one image. @throws Error it is damaged or not whole */
export async function readImageTree(archive: AsyncIterable<Buffer>): Promise<TreeNode> {
  const layers = new Map<string, readonly LayerChange[]>();
  const links = new Map<string, string>();
  let manifest: Buffer | undefined;
  for await (const entry of tarEntries(new ByteReader(archive))) {
    const name = posix.normalize(entry.name);
    if (entry.type === "2" || entry.type === "1") {
      const base = entry.type === "1" ? "" : posix.dirname(name);
      links.set(name, posix.join(base, entry.linkName));
    }
    if (entry.type !== "0") continue;
    const member = await readMember(entry);
    if (Buffer.isBuffer(member)) {
      if (name === "manifest.json") manifest = Buffer.from(member);
    } else if (member !== undefined) layers.set(name, member);
  }
  const root = emptyTree();
  for (const layer of layersOf(manifest)) {
    const name = posix.normalize(layer);
    const changes = layers.get(name) ?? layers.get(links.get(name) ?? "");
    if (changes === undefined) throw new Error(`the daemon's archive does not have the layer ${name}`);
    applyLayer(root, changes);
  }
  return root;
}
