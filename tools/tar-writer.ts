// Writes reproducible ustar archives in memory: fixed order, owners and times are the caller's.

/** A member of an archive; times in seconds since 1970. */
export interface TarFile {
  readonly name: string;
  readonly type: "file" | "directory" | "hardlink" | "symlink";
  readonly mode: number;
  readonly mtimeSeconds: number;
  readonly content?: Uint8Array;
  readonly linkName?: string;
}

const block = 512;
const flags = { file: "0", hardlink: "1", symlink: "2", directory: "5" } as const;

/** One tar, ended by two zero blocks. @throws RangeError a name that ustar cannot hold */
export function writeTar(files: readonly TarFile[]): Buffer {
  return Buffer.concat([...files.flatMap(writeMember), Buffer.alloc(2 * block)]);
}

function writeMember(file: TarFile): Buffer[] {
  const content = file.content ?? new Uint8Array(0);
  const header = Buffer.alloc(block);
  const text = (value: string, at: number, size: number): void => {
    if (Buffer.byteLength(value) > size) throw new RangeError(`too long for ustar: ${value}`);
    header.write(value, at);
  };
  const octal = (value: number, at: number, size: number): void =>
    text(value.toString(8).padStart(size - 1, "0"), at, size);
  text(file.name, 0, 100);
  octal(file.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(content.length, 124, 12);
  octal(file.mtimeSeconds, 136, 12);
  text("        ", 148, 8);
  text(flags[file.type], 156, 1);
  text(file.linkName ?? "", 157, 100);
  text("ustar\u000000", 257, 8);
  text("root", 265, 32);
  text("root", 297, 32);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, Buffer.from(content), Buffer.alloc((block - (content.length % block)) % block)];
}
