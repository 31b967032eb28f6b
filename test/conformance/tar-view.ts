// What a tar holds, as comparable lines, with the extended headers that make names longer or numbers larger.

import type { RawAnswer } from "./client.ts";
import type { Json } from "./steps.ts";

interface Header {
  readonly name: string;
  readonly type: string;
  readonly link: string;
  readonly size: number;
  readonly line: string;
}

function parseHeader(header: Buffer, pax: ReadonlyMap<string, string>): Header {
  const text = (from: number, length: number): string =>
    header.toString("utf8", from, from + length).replace(/\0.*$/s, "");
  const number = (from: number, length: number): number => Number.parseInt(text(from, length).trim() || "0", 8);
  const prefix = text(257, 6) === "ustar" ? text(345, 155) : "";
  const name = pax.get("path") ?? (prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`);
  const link = pax.get("linkpath") ?? text(157, 100);
  const size = Number(pax.get("size") ?? number(124, 12));
  const type = text(156, 1) || "0";
  const owner = `${pax.get("uid") ?? number(108, 8)}:${pax.get("gid") ?? number(116, 8)}`;
  const mode = (number(100, 8) & 0o7777).toString(8);
  const line = `${type} ${mode} ${owner} ${size} ${name}${link === "" ? "" : ` -> ${link}`}`;
  return { name, type, link, size, line };
}

function parsePax(records: Buffer): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(0x20, at);
    const length = Number(records.toString("latin1", at, space));
    const record = records.toString("utf8", space + 1, at + length - 1);
    found.set(record.slice(0, record.indexOf("=")), record.slice(record.indexOf("=") + 1));
    at += length;
  }
  return found;
}

/** A line per entry, `type mode uid:gid size name -> link`, sorted but for the first. @throws Error it is cut off */
export function tarLines(tar: Buffer): readonly string[] {
  const lines: string[] = [];
  let pax: ReadonlyMap<string, string> = new Map();
  for (let at = 0; ; ) {
    const header = tar.subarray(at, at + 512);
    if (header.length < 512) throw new Error(`a tar of ${tar.length} bytes has no end`);
    if (header.every((byte) => byte === 0)) break;
    const { type, size, line } = parseHeader(header, pax);
    const data = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    if (type === "x") {
      pax = parsePax(data);
      continue;
    }
    pax = new Map();
    lines.push(line);
  }
  const [first, ...rest] = lines;
  return first === undefined ? [] : [first, ...rest.sort()];
}

/** X-Docker-Container-Path-Stat: sizes of directories are the file system's affair, times of what was made by a daemon are its own. */
export function pathStat({ pathStat: encoded }: RawAnswer): unknown {
  if (encoded === undefined) return "none";
  const { mtime, size, ...stat } = JSON.parse(Buffer.from(encoded, "base64").toString()) as Json;
  const { mode } = stat as { readonly mode: number };
  const isDirectory = mode >= 2 ** 31;
  return { ...stat, ...(isDirectory ? {} : { size }), mtime: String(mtime).startsWith("2001-") ? mtime : "<time>" };
}

/** The stat and the entries of an archive. */
export function archived(answer: RawAnswer): unknown {
  return { stat: pathStat(answer), entries: tarLines(answer.body) };
}
