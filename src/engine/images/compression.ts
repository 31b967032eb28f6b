// Detects compression by content and takes it off while streaming. Node's own zlib does the work: no program of the host,
// and never one of a container, is run (CVE-2026-41567's class).

import { Readable, type Transform, pipeline } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { ByteSource } from "./byte-source.ts";

/** "tar" is everything that is not compressed. */
export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** How many bytes `detectCompression` wants to see. */
export const magicLength = 6;

export function detectCompression(start: Uint8Array): Compression {
  return magics.find(([, magic]) => magic.every((byte, index) => start[index] === byte))?.[0] ?? "none";
}

/**
 * The uncompressed bytes of `chunks`.
 *
 * @throws NotImplemented   bzip2, xz: said at once
 * @throws InvalidParameter the compressed data is damaged or truncated
 */
export function decompress(chunks: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  if (compression === "none") return chunks;
  return inflate(chunks, createDecoder(compression), compression);
}

function createDecoder(compression: Compression): Transform {
  // Default chunks of 16 KiB cost a third of the speed.
  const chunkSize = 256 << 10;
  if (compression === "gzip") return createGunzip({ chunkSize });
  // The window is memory: 128 MiB is what the zstd program allows without being asked.
  if (compression === "zstd")
    return createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
  throw new EngineError(
    "NotImplemented",
    `archives compressed with ${compression} are not supported; recompress with gzip or zstd, or not at all`,
  );
}

async function* inflate(
  chunks: AsyncIterable<Uint8Array>,
  decoder: Transform,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  let inputError: unknown;
  const input = Readable.from(
    (async function* () {
      try {
        yield* chunks;
      } catch (error) {
        inputError = error;
        throw error;
      }
    })(),
    { objectMode: false, highWaterMark: 256 << 10 },
  );
  pipeline(input, decoder, () => undefined);
  try {
    for await (const chunk of decoder) yield chunk as Uint8Array;
  } catch (error) {
    if (inputError !== undefined) throw inputError;
    if (isEngineError(error)) throw error;
    const text = /unexpected end|incomplete|truncated/i.test(messageOf(error)) ? "unexpected EOF" : messageOf(error);
    throw new EngineError("InvalidParameter", `${compression}: ${text}`, { cause: error });
  } finally {
    // Whoever reads `chunks` next must not meet a read that is still under way here.
    decoder.destroy();
    input.destroy();
    if (!input.closed) await new Promise<void>((resolve) => void input.once("close", resolve));
  }
}

/** Detects and decompresses in one go. */
export async function openCompressed(chunks: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const source = new ByteSource(chunks);
  return decompress(source.rest(), detectCompression(await source.peek(magicLength)));
}
