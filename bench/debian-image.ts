// A real image to move about: Debian by mmdebstrap, kept in .cache/bench, cut into layers, put into the storage of a
// registry. Made once; the registries of all contenders serve the same bytes.

import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { writeTar } from "../tools/tar-writer.ts";

/** A layer as a registry has it. */
interface LayerBlob {
  readonly diffId: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

/** Everything that is pushed into a registry before a bench. */
export interface BenchImages {
  /** Each with its name, manifest and blobs. */
  readonly images: readonly {
    readonly name: string;
    readonly manifest: Buffer;
    readonly blobs: readonly { readonly digest: string; readonly bytes: Buffer }[];
  }[];
  /** Bytes of the eight layers, uncompressed. */
  readonly unpackedBytes: number;
}

const cache = join(import.meta.dirname, "../.cache/bench");

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** An unpacked Debian; made by mmdebstrap the first time. */
export function debianRoot(): string {
  const root = join(cache, "debian");
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const making = mkdtempSync(join(cache, "making-"));
  try {
    const tar = join(making, "debian.tar");
    execFileSync("mmdebstrap", ["--variant=important", "--quiet", "bookworm", tar], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    mkdirSync(join(making, "root"));
    execFileSync("tar", ["-C", join(making, "root"), "--exclude=./dev/*", "--numeric-owner", "-xpf", tar]);
    renameSync(join(making, "root"), root);
    return root;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function tarOf(root: string, selection: readonly string[]): Buffer {
  const options = [
    "-C",
    root,
    "--sort=name",
    "--numeric-owner",
    "--format=posix",
    "--pax-option=delete=atime,delete=ctime",
  ];
  const file = join(mkdtempSync(join(tmpdir(), "bench-layer-")), "layer.tar");
  execFileSync("tar", [...options, "-cf", file, ...selection]);
  const bytes = readFileSync(file);
  rmSync(join(file, ".."), { recursive: true });
  return bytes;
}

function layerOf(tar: Buffer): LayerBlob {
  const bytes = gzipSync(tar, { level: 6 });
  return { diffId: sha256(tar), digest: sha256(bytes), bytes };
}

/** Eight parts of a Debian, of the sizes that packages have. */
function eightParts(root: string): readonly (readonly string[])[] {
  const lib = join(root, "usr/lib");
  const multiarch = readdirSync(lib).find(
    (name) => name.endsWith("-linux-gnu") && statSync(join(lib, name)).isDirectory(),
  );
  return [
    ["--exclude=./usr", "--exclude=./var", "."],
    [`usr/lib/${multiarch ?? ""}`],
    [`--exclude=usr/lib/${multiarch ?? ""}`, "usr/lib"],
    ["usr/bin", "usr/sbin"],
    ["usr/share/locale", "usr/share/zoneinfo"],
    ["--exclude=usr/share/locale", "--exclude=usr/share/zoneinfo", "usr/share"],
    ["--exclude=usr/lib", "--exclude=usr/bin", "--exclude=usr/sbin", "--exclude=usr/share", "usr"],
    ["var"],
  ];
}

function imageOf(name: string, layers: readonly LayerBlob[]): BenchImages["images"][number] {
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      created: "2026-01-01T00:00:00Z",
      config: { Cmd: ["bash"], Labels: { name } },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(() => ({ created: "2026-01-01T00:00:00Z", created_by: "bench" })),
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
      config: {
        mediaType: "application/vnd.docker.container.image.v1+json",
        size: config.length,
        digest: sha256(config),
      },
      layers: layers.map(({ digest, bytes }) => ({
        mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
        size: bytes.length,
        digest,
      })),
    }),
  );
  return { name, manifest, blobs: [...layers, { digest: sha256(config), bytes: config }] };
}

/** debian8, debian1 (the same files in one layer) and shared0 … shared3 (the eight layers and one of their own). */
export function makeBenchImages(): BenchImages {
  const root = debianRoot();
  const tars = eightParts(root).map((part) => tarOf(root, part));
  const eight = tars.map(layerOf);
  const own = (n: number): LayerBlob =>
    layerOf(
      writeTar([
        { name: `own-${n}`, type: "file", mode: 0o644, mtimeSeconds: 0, content: Buffer.alloc(1 << 20, `layer ${n} `) },
      ]),
    );
  return {
    images: [
      imageOf("debian8", eight),
      imageOf("debian1", [layerOf(tarOf(root, ["."]))]),
      ...[0, 1, 2, 3].map((n) => imageOf(`shared${n}`, [...eight, own(n)])),
    ],
    unpackedBytes: tars.reduce((sum, tar) => sum + tar.length, 0),
  };
}
