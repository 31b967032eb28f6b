// Whether a file is an archive that ADD unpacks: by content, compressed or not, never by name.

import { isEngineError } from "../../../base/errors.ts";
import { openBounded } from "../sources/inflation.ts";

const blockSize = 512;
const checksumAt = 148;
const checksumSize = 8;

/**
 * The tar in `bytes`, uncompressed; undefined when they are something else. Then `bytes` are closed.
 *
 * @throws NotImplemented a program that takes the compression off is not installed
 */
export async function openArchive(
  bytes: AsyncIterable<Uint8Array>,
): Promise<AsyncGenerator<Uint8Array, undefined> | undefined> {
  const tar = (await openBounded(bytes))[Symbol.asyncIterator]();
  const start: Uint8Array[] = [];
  let size = 0;
  try {
    while (size < blockSize) {
      const { done, value } = await tar.next();
      if (done === true) break;
      start.push(value);
      size += value.length;
    }
  } catch (error) {
    // What only looks compressed is copied as it is.
    if (!isEngineError(error, "InvalidParameter")) throw error;
    size = 0;
  }
  const first = Buffer.concat(start);
  if (size < blockSize || !isHeader(first)) {
    await tar.return?.();
    return undefined;
  }
  return (async function* (): AsyncGenerator<Uint8Array, undefined> {
    try {
      yield first;
      for (;;) {
        const { done, value } = await tar.next();
        if (done === true) return undefined;
        yield value;
      }
    } finally {
      await tar.return?.();
    }
  })();
}

/** The sum of a header's bytes, its own field taken as blanks. */
function isHeader(block: Uint8Array): boolean {
  let sum = 0;
  for (let i = 0; i < blockSize; i++)
    sum += i >= checksumAt && i < checksumAt + checksumSize ? 0x20 : (block[i] as number);
  const field = Buffer.from(block.subarray(checksumAt, checksumAt + checksumSize)).toString("latin1");
  const [, digits] = /^\s*([0-7]{1,7})[\s\0]/.exec(`${field}\0`) ?? [];
  return digits !== undefined && Number.parseInt(digits, 8) === sum;
}
