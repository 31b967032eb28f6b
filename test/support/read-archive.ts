// Reads small tars as a whole.

export interface ReadTree {
  /** In the order of the archive. */
  readonly paths: readonly string[];
  readonly files: ReadonlyMap<string, Buffer>;
  /** Whole seconds; a time in an extended header counts. */
  readonly times: ReadonlyMap<string, number>;
}

export function readArchive(tar: Buffer): ReadTree {
  const paths: string[] = [];
  const files = new Map<string, Buffer>();
  const times = new Map<string, number>();
  let mtime: number | undefined;
  for (let at = 0; at + 512 <= tar.length; ) {
    const header = tar.subarray(at, at + 512);
    at += 512;
    if (header.every((byte) => byte === 0)) break;
    const field = (from: number, size: number): string =>
      header.toString("utf8", from, from + size).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    const body = tar.subarray(at, at + size);
    at += Math.ceil(size / 512) * 512;
    const type = field(156, 1);
    if (type === "x") {
      mtime = parsePaxTimes(body);
      continue;
    }
    const prefix = field(345, 155);
    const path = prefix === "" ? field(0, 100) : `${prefix}/${field(0, 100)}`;
    paths.push(path);
    if (type === "0") files.set(path, body);
    times.set(path, mtime ?? Number.parseInt(field(136, 12), 8));
    mtime = undefined;
  }
  return { paths, files, times };
}

/** The time of modification in an extended header; undefined for none. */
function parsePaxTimes(records: Buffer): number | undefined {
  const match = /^\d+ mtime=([\d.]+)$/m.exec(records.toString());
  return match === null ? undefined : Math.floor(Number(match[1]));
}
