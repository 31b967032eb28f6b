// Detects compression by content and takes it off while streaming: gzip and zstd by Node's own zlib, bzip2 and xz by the host's
// program, found in the system's directories, without environment and with bounded memory. A program of a container is never
// run (CVE-2026-41567's class).

import { Readable, type Transform, pipeline } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { filterThrough, findProgram } from "../kernel/filter.ts";
import { ByteSource } from "./byte-source.ts";

/** "tar" is everything that is not compressed. */
export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** What only a program of the host can take off, and the package that has it. */
const programs = {
  // The window is memory, as zstd's.
  xz: { package: "xz-utils", args: ["--decompress", "--stdout", "--threads=1", "--memlimit-decompress=128MiB"] },
  bzip2: { package: "bzip2", args: ["--decompress", "--stdout"] },
} as const;

/** How many bytes `detectCompression` wants to see. */
export const magicLength = 6;

export function detectCompression(start: Uint8Array): Compression {
  return magics.find(([, magic]) => magic.every((byte, index) => start[index] === byte))?.[0] ?? "none";
}

/**
 * The uncompressed bytes of `chunks`.
 *
 * @throws NotImplemented   bzip2, xz: their program is not installed, said at once
 * @throws InvalidParameter the compressed data is damaged or truncated, or needs too much memory
 */
export function decompress(chunks: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  if (compression === "none") return chunks;
  if (compression === "xz" || compression === "bzip2") return filter(chunks, compression);
  return inflate(chunks, createDecoder(compression), compression);
}

function filter(chunks: AsyncIterable<Uint8Array>, compression: keyof typeof programs): AsyncIterable<Uint8Array> {
  const { package: needed, args } = programs[compression];
  const path = findProgram(compression);
  if (path === undefined)
    throw new EngineError(
      "NotImplemented",
      `archives compressed with ${compression} need the program ${compression}: install the package ${needed}, ` +
        "or recompress with gzip or zstd, or not at all",
    );
  return runFilter([path, ...args], chunks, compression);
}

async function* runFilter(
  argv: readonly [string, ...string[]],
  chunks: AsyncIterable<Uint8Array>,
  compression: keyof typeof programs,
): AsyncGenerator<Uint8Array> {
  // What the input throws must not be taken for the program's complaint.
  let inputError: unknown;
  const input = (async function* () {
    try {
      yield* chunks;
    } catch (error) {
      inputError = error;
      throw error;
    }
  })();
  try {
    yield* filterThrough(argv, input);
  } catch (error) {
    if (inputError !== undefined || !isEngineError(error, "InvalidParameter")) throw error;
    throw new EngineError("InvalidParameter", `${compression}: ${complaintOf(error.message)}`, { cause: error });
  }
}

/** "/usr/bin/xz: (stdin): Memory usage limit reached" without what the program calls itself. */
function complaintOf(said: string): string {
  if (/unexpected end|ends unexpectedly/i.test(said)) return "unexpected EOF";
  const line = said.split("\n").find((text) => text.trim() !== "") ?? "";
  return line.trim().replace(/^(?:[\w/]+: )?(?:\(stdin\): )?/, "");
}

function createDecoder(compression: "gzip" | "zstd"): Transform {
  // Default chunks of 16 KiB cost a third of the speed.
  const chunkSize = 256 << 10;
  if (compression === "gzip") return createGunzip({ chunkSize });
  // The window is memory: 128 MiB is what the zstd program allows without being asked.
  return createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
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
