// Looks for packages in a file system that comes as a tar: only the files that say something are read, the others pass by.
// Memory holds one such file and what was found.

import { ByteSource } from "../../images/byte-source.ts";
import { type TarMember, readTar } from "../../images/tar-reader.ts";
import { findGoModules, parseGoModules } from "./go-buildinfo.ts";
import {
  parseApk,
  parseDpkg,
  parseOsRelease,
  parsePackageJson,
  parsePackageLock,
  parsePythonMetadata,
} from "./package-databases.ts";
import type { Distribution, PackageRecord } from "./package-record.ts";

export interface ScannedTree {
  readonly distribution: Distribution;
  readonly packages: readonly PackageRecord[];
}

interface Reader {
  readonly pattern: RegExp;
  /** What is longer is read up to here. */
  readonly maxBytes: number;
  parse(text: string, path: string): readonly PackageRecord[];
}

const mib = 1 << 20;
const readers: readonly Reader[] = [
  { pattern: /^var\/lib\/dpkg\/status$/, maxBytes: 64 * mib, parse: parseDpkg },
  { pattern: /^var\/lib\/dpkg\/status\.d\/(?!.*\.md5sums$)[^/]+$/, maxBytes: mib, parse: parseDpkg },
  { pattern: /^(?:usr\/)?lib\/apk\/db\/installed$/, maxBytes: 64 * mib, parse: parseApk },
  {
    pattern: /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/,
    maxBytes: mib,
    parse: parsePackageJson,
  },
  // Inside of node_modules there are files of installed packages, and what is installed says package.json.
  { pattern: /^(?!(?:.*\/)?node_modules\/)(?:.*\/)?package-lock\.json$/, maxBytes: 32 * mib, parse: parsePackageLock },
  { pattern: /\.dist-info\/METADATA$|\.egg-info(?:\/PKG-INFO)?$/, maxBytes: 64 << 10, parse: parsePythonMetadata },
];
const osRelease = /^(?:etc|usr\/lib)\/os-release$/;
const osReleaseBytes = 64 << 10;
const elf = Buffer.from("\x7fELF", "latin1");

/** @throws what `tar` throws; InvalidParameter it is none */
export async function scanTree(tar: AsyncIterable<Uint8Array>): Promise<ScannedTree> {
  const source = new ByteSource(tar);
  const packages: PackageRecord[] = [];
  let distribution: Distribution = { id: "", versionId: "" };
  try {
    for await (const member of readTar(source)) {
      if (member.type !== "file" || member.sizeBytes === 0) continue;
      const path = member.name.replace(/^(?:\.?\/)+/, "");
      const reader = readers.find(({ pattern }) => pattern.test(path));
      if (reader !== undefined) packages.push(...reader.parse(await readText(member, reader.maxBytes), path));
      else if (osRelease.test(path)) distribution = parseOsRelease(await readText(member, osReleaseBytes));
      else if (Buffer.compare(await member.peek(elf.length), elf) === 0) {
        const modules = await findGoModules(member.chunks());
        if (modules !== undefined) packages.push(...parseGoModules(modules, path));
      }
    }
  } finally {
    await source.close();
  }
  return { distribution, packages };
}

async function readText(member: TarMember, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of member.chunks()) {
    // Chunks are views that the next read may reuse.
    parts.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(parts).subarray(0, maxBytes).toString("utf8");
}
