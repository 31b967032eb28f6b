// Headers of the outer tar of an image archive, as Go's archive/tar writes them: ustar, root's, whole seconds, and an extended
// header only for what ustar cannot say. Source: POSIX.1-2017 pax, "ustar Interchange Format".

const block = 512;
/** The largest number of eleven octal digits. */
const maxOctal = 8 ** 11 - 1;

export interface TarEntry {
  /** At most 100 bytes of ASCII; a directory's ends with "/". */
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
}

/** The end of an archive. */
export const tarEnd: Uint8Array = new Uint8Array(2 * block);

/** How many zeros follow so many bytes of data. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return new Uint8Array((block - (sizeBytes % block)) % block);
}

/** The header before an entry's data. */
export function renderTarHeader(entry: TarEntry): Buffer {
  const { path, sizeBytes } = entry;
  const mtimeSeconds = Math.min(Math.max(0, entry.mtimeSeconds), maxOctal);
  const type = path.endsWith("/") ? "5" : "0";
  if (sizeBytes <= maxOctal) return renderBlock({ path, sizeBytes, mtimeSeconds }, type);
  const record = renderRecord("size", String(sizeBytes));
  const slash = path.lastIndexOf("/") + 1;
  const extended = `${path.slice(0, slash)}PaxHeaders.0/${path.slice(slash)}`.slice(0, 100);
  return Buffer.concat([
    renderBlock({ path: extended, sizeBytes: record.length, mtimeSeconds: 0 }, "x"),
    record,
    tarPadding(record.length),
    renderBlock({ path, sizeBytes: 0, mtimeSeconds }, type),
  ]);
}

function renderBlock({ path, sizeBytes, mtimeSeconds }: TarEntry, type: "0" | "5" | "x"): Buffer {
  const header = Buffer.alloc(block);
  header.write(path, 0, 100, "latin1");
  const octal = (value: number, at: number, digits: number): void =>
    void header.write(value.toString(8).padStart(digits, "0"), at, "latin1");
  octal(type === "5" ? 0o755 : 0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(mtimeSeconds, 136, 11);
  header.write(type, 156, "latin1");
  header.write("ustar\u000000", 257, "latin1");
  octal(0, 329, 7);
  octal(0, 337, 7);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** "<length> key=value\n", whose length counts itself. */
function renderRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.from(`${length}${rest}`);
}
