// Headers of tar archives that the client writes: ustar, numbers in octal, PAX records for what does not fit. Source:
// POSIX.1-2024 pax, "ustar Interchange Format" and "pax Extended Header".

const block = 512;

/** A member of an archive. Names are byte strings: a character for each byte (latin1), as file systems have bytes. */
export interface TarMember {
  /** A directory's ends in "/". */
  readonly name: string;
  /** "0" file, "1" hard link, "2" symbolic link, "3" and "4" devices, "5" directory, "6" FIFO. */
  readonly type: "0" | "1" | "2" | "3" | "4" | "5" | "6";
  readonly size: number;
  readonly mode: number;
  /** Unix seconds. */
  readonly time: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
}

const [maxName, maxId, maxSize] = [100, 0o7777777, 0o77777777777];

// oxlint-disable-next-line no-control-regex
const ascii = /^[\x00-\x7f]*$/;

function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`.length;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

/** What a member's own header cannot say. */
function paxRecords(member: TarMember): string {
  const { name, linkName, size, uid, gid, time } = member;
  const records: string[] = [];
  if (gid > maxId) records.push(paxRecord("gid", String(gid)));
  if (linkName.length > maxName || !ascii.test(linkName)) records.push(paxRecord("linkpath", linkName));
  if (time < 0 || time > maxSize) records.push(paxRecord("mtime", String(time)));
  if (name.length > maxName || !ascii.test(name)) records.push(paxRecord("path", name));
  if (size > maxSize) records.push(paxRecord("size", String(size)));
  if (uid > maxId) records.push(paxRecord("uid", String(uid)));
  return records.join("");
}

/** Writes one block. @returns the offset behind it */
function writeBlock(into: Buffer, at: number, member: TarMember, type: string): number {
  into.fill(0, at, at + block);
  const octal = (value: number, offset: number, length: number): void => {
    into.write(value.toString(8).padStart(length - 1, "0"), at + offset, "latin1");
  };
  into.write(member.name.slice(0, maxName), at, "latin1");
  octal(member.mode, 100, 8);
  octal(member.uid > maxId ? 0 : member.uid, 108, 8);
  octal(member.gid > maxId ? 0 : member.gid, 116, 8);
  octal(member.size > maxSize ? 0 : member.size, 124, 12);
  octal(member.time < 0 || member.time > maxSize ? 0 : member.time, 136, 12);
  into.fill(" ", at + 148, at + 156);
  into.write(type, at + 156, "latin1");
  into.write(member.linkName.slice(0, maxName), at + 157, "latin1");
  into.write("ustar\x0000", at + 257, "latin1");
  if (type === "3" || type === "4") {
    octal(member.major, 329, 8);
    octal(member.minor, 337, 8);
  }
  let sum = 0;
  for (let i = at; i < at + block; i += 1) sum += into[i] ?? 0;
  into.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  return at + block;
}

/** The most bytes that `writeMember` writes: two blocks, and the records of two long names. */
export const maxMemberBytes = 4 * block + 3 * 8192;

/**
 * Writes a member's header, and the extended one before it where it needs one.
 *
 * @param into  with room for `maxMemberBytes`
 * @returns     the offset behind it, where the body begins
 * @throws RangeError a name longer than any path
 */
export function writeMember(into: Buffer, at: number, member: TarMember): number {
  const records = paxRecords(member);
  if (records === "") return writeBlock(into, at, member, member.type);
  if (records.length > 3 * 8192) throw new RangeError(`${member.name}: too long a name for a tar header`);
  const extended: TarMember = {
    ...member,
    name: `PaxHeaders.0/${member.name.split("/").findLast((part) => part !== "") ?? ""}`.slice(0, maxName),
    size: records.length,
    mode: 0,
    uid: 0,
    gid: 0,
    time: 0,
    linkName: "",
  };
  let end = writeBlock(into, at, extended, "x");
  const padded = Math.ceil(records.length / block) * block;
  into.fill(0, end, end + padded);
  into.write(records, end, "latin1");
  end += padded;
  return writeBlock(into, end, member, member.type);
}

/**
 * The header of a file or directory of root's.
 *
 * @param name at most 100 bytes; a directory's ends in "/"
 * @param options.time unix seconds
 */
export function tarHeader(
  name: string,
  options: { readonly size: number; readonly mode: number; readonly time: number },
): Buffer {
  const bytes = Buffer.from(name, "utf8").toString("latin1");
  if (bytes.length > maxName) throw new RangeError(`${name}: too long a name for a tar header`);
  const header = Buffer.alloc(block);
  const none = { uid: 0, gid: 0, linkName: "", major: 0, minor: 0 };
  const type = name.endsWith("/") ? "5" : "0";
  writeBlock(header, 0, { ...none, ...options, name: bytes, type }, type);
  return header;
}

/** Zeros up to the next block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((block - (size % block)) % block);
}

/** The end of an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * block);
