// PATH | URL | -: where the files of a build and its Dockerfile come from. What comes on stdin is a tar or a Dockerfile, told apart by
// its first bytes.

import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { randomBytes } from "node:crypto";
import { CliError } from "../command.ts";
import { isRemote } from "./options.ts";

export interface BuildContext extends Disposable {
  /** Attributes of the frontend that say so. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly directories: ReadonlyMap<string, string>;
  readonly uploads: ReadonlyMap<string, Readable>;
}

const tarMagicAt = 257;
const firstBytes = 512;
const compressed: readonly (readonly number[])[] = [
  [0x1f, 0x8b],
  [0x42, 0x5a, 0x68],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  [0x28, 0xb5, 0x2f, 0xfd],
];

/**
 * @param file of --file; "" for none, "-" for stdin
 * @throws CliError what is named is not there, or both come from stdin
 */
export async function findContext(
  positional: string,
  file: string,
  stdin: AsyncIterable<Buffer>,
): Promise<BuildContext> {
  if (positional === "-") {
    if (file === "-") throw new CliError("invalid argument: can't use stdin for both build context and dockerfile");
    return fromStdin(stdin, file);
  }
  const made: string[] = [];
  const directories = new Map<string, string>();
  const attributes: Record<string, string> = {};
  if (isRemote(positional)) attributes["context"] = positional;
  else directories.set("context", directoryOf(positional));
  if (file === "-") {
    const directory = mkdtempSync(join(tmpdir(), "gantry-build-"));
    made.push(directory);
    writeFileSync(join(directory, "Dockerfile"), Buffer.concat(await Array.fromAsync(stdin)));
    directories.set("dockerfile", directory);
    attributes["filename"] = "Dockerfile";
    if (isRemote(positional)) attributes["dockerfilekey"] = "dockerfile";
  } else if (isRemote(positional)) {
    if (file !== "") attributes["filename"] = file;
  } else {
    const path = dockerfileOf(resolve(positional), file);
    directories.set("dockerfile", dirname(path));
    attributes["filename"] = basename(path);
  }
  return {
    attributes,
    directories,
    uploads: new Map(),
    [Symbol.dispose]: () => made.forEach((directory) => rmSync(directory, { recursive: true, force: true })),
  };
}

function directoryOf(text: string): string {
  const path = resolve(text);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new CliError(`unable to prepare context: path ${JSON.stringify(text)} not found`);
  if (!stat.isDirectory())
    throw new CliError(`unable to prepare context: path ${JSON.stringify(text)} is no directory`);
  return path;
}

function dockerfileOf(context: string, file: string): string {
  if (file !== "") {
    const path = isAbsolute(file) ? file : resolve(file);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined)
      throw new CliError(
        `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${path}: no such file or directory`,
      );
    if (stat.isDirectory()) throw new CliError(`the Dockerfile ${file} is a directory`);
    return path;
  }
  const [upper, lower] = [join(context, "Dockerfile"), join(context, "dockerfile")];
  return !existsSync(upper) && existsSync(lower) ? lower : upper;
}

async function fromStdin(stdin: AsyncIterable<Buffer>, file: string): Promise<BuildContext> {
  const chunks = stdin[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  while (start.length < firstBytes) {
    const next = await chunks.next();
    if (next.done === true) break;
    start = Buffer.concat([start, next.value]);
  }
  if (start.length === 0) throw new CliError("failed to read the build context: stdin is empty");
  async function* whole(): AsyncGenerator<Buffer> {
    yield start;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  }
  if (isArchive(start)) {
    const id = randomBytes(12).toString("hex");
    return {
      attributes: { context: `http://buildkit-session/${id}`, ...(file === "" ? {} : { filename: file }) },
      directories: new Map(),
      uploads: new Map([[`/${id}`, Readable.from(whole())]]),
      [Symbol.dispose]: () => undefined,
    };
  }
  if (file !== "") throw new CliError("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  const directory = mkdtempSync(join(tmpdir(), "gantry-build-"));
  const empty = mkdtempSync(join(tmpdir(), "gantry-build-"));
  writeFileSync(join(directory, "Dockerfile"), Buffer.concat(await Array.fromAsync(whole())));
  return {
    attributes: { filename: "Dockerfile" },
    directories: new Map([
      ["context", empty],
      ["dockerfile", directory],
    ]),
    uploads: new Map(),
    [Symbol.dispose]: () => [directory, empty].forEach((path) => rmSync(path, { recursive: true, force: true })),
  };
}

function isArchive(start: Buffer): boolean {
  if (start.toString("latin1", tarMagicAt, tarMagicAt + 5) === "ustar") return true;
  return compressed.some((magic) => magic.every((byte, index) => start[index] === byte));
}
