// Archives of builds without their compression, and bounded in what they become: a few MiB must not fill a disk. Free up to 512 MiB; of
// what is larger a byte may become a hundred. Real trees stay below ten; only runs of one byte get beyond.

import { EngineError } from "../../../base/errors.ts";
import { openCompressed } from "../../images/compression.ts";

const freeBytes = 512 << 20;
const maxRatio = 100;

/**
 * The uncompressed bytes of `chunks`.
 *
 * @throws InvalidParameter damaged, or a bomb (while they are read)
 * @throws NotImplemented   a program that takes the compression off is not installed
 */
export async function openBounded(
  chunks: AsyncIterable<Uint8Array>,
  limits: { readonly freeBytes: number; readonly maxRatio: number } = { freeBytes, maxRatio },
): Promise<AsyncIterable<Uint8Array>> {
  let read = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      read += chunk.length;
      yield chunk;
    }
  }
  const plain = await openCompressed(counted());
  return (async function* (): AsyncGenerator<Uint8Array> {
    let made = 0;
    for await (const chunk of plain) {
      made += chunk.length;
      if (made > limits.freeBytes && made > read * limits.maxRatio)
        throw new EngineError(
          "InvalidParameter",
          `the archive becomes more than ${limits.maxRatio} times larger when it is decompressed: ` +
            "send it uncompressed if that is meant",
        );
      yield chunk;
    }
  })();
}
