// Headers of tar archives that the client writes: ustar, owner root, numbers in octal. Source: POSIX.1-2024 pax, "ustar
// Interchange Format".

const block = 512;

/**
 * @param name at most 100 bytes; a directory's ends in "/"
 * @param time unix seconds
 */
export function tarHeader(
  name: string,
  options: { readonly size: number; readonly mode: number; readonly time: number },
): Buffer {
  const header = Buffer.alloc(block);
  const octal = (value: number, at: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
  };
  if (Buffer.byteLength(name) > 100) throw new RangeError(`${name}: too long a name for a tar header`);
  header.write(name, 0, "utf8");
  octal(options.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(options.size, 124, 12);
  octal(options.time, 136, 12);
  header.fill(" ", 148, 156);
  header.write(name.endsWith("/") ? "5" : "0", 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** Zeros up to the next block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((block - (size % block)) % block);
}

/** The end of an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * block);
