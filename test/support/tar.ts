// Builds tar archives of every kind, broken ones included: each field of a header can be set to anything.

/** A member; what is not given is that of an ordinary file made by root in 2001. */
export interface RawMember {
  readonly name: string;
  /** "0" file, "1" hard link, "2" symlink, "3" char, "4" block, "5" directory, "6" FIFO, "\0" v7, "S" sparse … */
  readonly type?: string;
  readonly data?: Uint8Array | string;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** Written into the header in place of the data's length. */
  readonly size?: number;
  readonly devMajor?: number;
  readonly devMinor?: number;
  readonly prefix?: string;
  readonly format?: "ustar" | "gnu" | "v7";
  /** Put in front as an extended header. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
  /** Changes the finished header; the checksum is computed afterwards. */
  readonly patch?: (header: Buffer) => void;
  /** Changes the header after its checksum was computed. */
  readonly spoil?: (header: Buffer) => void;
}

const block = 512;
const magics = { ustar: "ustar\u000000", gnu: "ustar  \0", v7: "" } as const;

/** Pads to whole blocks. */
export function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc((block - (data.length % block)) % block)]);
}

function octal(value: number, size: number): string {
  return `${value.toString(8).padStart(size - 1, "0")}\0`;
}

/** A number in GNU's base-256 form. */
export function base256(value: bigint, size: number): Buffer {
  const field = Buffer.alloc(size);
  for (let i = size - 1, rest = value; i >= 0; i--, rest >>= 8n) field[i] = Number(rest & 0xffn);
  field[0] = (field[0] ?? 0) | 0x80;
  return field;
}

/** One member with its data, its extended header in front. */
export function member(raw: RawMember): Buffer {
  const data = typeof raw.data === "string" ? Buffer.from(raw.data) : (raw.data ?? new Uint8Array(0));
  const header = Buffer.alloc(block);
  header.write(raw.name, 0, 100, "latin1");
  header.write(octal(raw.mode ?? 0o644, 8), 100);
  header.write(octal(raw.uid ?? 0, 8), 108);
  header.write(octal(raw.gid ?? 0, 8), 116);
  header.write(octal(raw.size ?? data.length, 12), 124);
  header.write(octal(raw.mtime ?? 1_000_000_000, 12), 136);
  header.write(raw.type ?? "0", 156, 1, "latin1");
  header.write(raw.link ?? "", 157, 100, "latin1");
  header.write(magics[raw.format ?? "ustar"], 257, 8, "latin1");
  header.write(octal(raw.devMajor ?? 0, 8), 329);
  header.write(octal(raw.devMinor ?? 0, 8), 337);
  header.write(raw.prefix ?? "", 345, 155, "latin1");
  raw.patch?.(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  raw.spoil?.(header);
  const front = raw.pax === undefined ? [] : [paxHeader(raw.pax)];
  return Buffer.concat([...front, header, padded(data)]);
}

/** One record: its length counts itself. */
export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** An extended header; `flag` "g" makes it global. */
export function paxHeader(records: Readonly<Record<string, string | Uint8Array>>, flag: "x" | "g" = "x"): Buffer {
  const data = Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
  return member({ name: "./PaxHeaders/x", type: flag, data });
}

/** GNU's long name ("L") or long link ("K") header. */
export function gnuLong(type: "L" | "K", text: string): Buffer {
  return member({ name: "././@LongLink", type, data: `${text}\0`, format: "gnu" });
}

/** The archive's end. */
export const end = Buffer.alloc(2 * block);

/** A whole archive of members, or of bytes already made. */
export function tarOf(...parts: readonly (RawMember | Uint8Array)[]): Buffer {
  return Buffer.concat([...parts.map((part) => (part instanceof Uint8Array ? part : member(part))), end]);
}

/** A directory. */
export function directory(name: string, more: Partial<RawMember> = {}): RawMember {
  return { name, type: "5", mode: 0o755, ...more };
}

/** A file. */
export function file(name: string, data: string | Uint8Array = "", more: Partial<RawMember> = {}): RawMember {
  return { name, data, ...more };
}

/** A symbolic link. */
export function symlink(name: string, link: string, more: Partial<RawMember> = {}): RawMember {
  return { name, type: "2", link, mode: 0o777, ...more };
}

/** A hard link. */
export function hardlink(name: string, link: string, more: Partial<RawMember> = {}): RawMember {
  return { name, type: "1", link, ...more };
}
