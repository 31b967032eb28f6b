// Typed calls about the files of containers, as tar streams. Source: Docker Engine API 1.51, ContainerArchive and ContainerChanges.

import { type Client, DaemonError } from "./client.ts";
import { segment } from "./containers.ts";

/** What a path in a container is. */
export interface PathStat {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly kind: "directory" | "file" | "link" | "device" | "other";
  /** "" where it is no link; may be relative. */
  readonly linkTarget: string;
}

/** Bits of Go's io/fs.FileMode that say what a file is. */
const [directory, link, device, charDevice, odd] = [2 ** 31, 2 ** 27, 2 ** 26, 2 ** 21, 2 ** 19];

function kindOf(mode: number): PathStat["kind"] {
  const has = (bit: number): boolean => Math.floor(mode / bit) % 2 === 1;
  if (has(directory)) return "directory";
  if (has(link)) return "link";
  if (has(device) || has(charDevice)) return "device";
  return has(odd) ? "other" : "file";
}

/** @throws Error the header is not what the API promises */
function parseStat(header: string | undefined): PathStat {
  if (header === undefined) throw new Error("unable to get resource stat from response: the header is missing");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, "base64").toString("utf8"));
  } catch (error) {
    throw new Error("unable to decode container path stat header", { cause: error });
  }
  const { name, size, mode, linkTarget } = value as Readonly<Record<string, unknown>>;
  const text = (member: unknown): string => (typeof member === "string" ? member : "");
  return {
    name: text(name),
    size: Number(size ?? 0),
    kind: kindOf(Number(mode ?? 0)),
    linkTarget: text(linkTarget),
  };
}

const statHeader = "x-docker-container-path-stat";

/** @throws Error an empty name: the path would mean something else */
function pathOf(container: string, action: string): string {
  if (container.trim() === "") throw new Error("invalid container name or ID: value is empty");
  return `/containers/${segment(container)}/${action}`;
}

/** What is at a path, itself if it is a link; undefined where the daemon says nothing of it. */
export async function statContainerPath(
  client: Client,
  container: string,
  path: string,
): Promise<PathStat | undefined> {
  try {
    const response = await client.request("HEAD", pathOf(container, "archive"), { query: { path } });
    response.socket.destroy();
    return parseStat(response.head.headers.get(statHeader));
  } catch (error) {
    if (error instanceof DaemonError) return undefined;
    throw error;
  }
}

/** A file or directory as a tar. @throws DaemonError */
export async function readContainerArchive(
  client: Client,
  container: string,
  path: string,
): Promise<{ readonly stat: PathStat; readonly tar: AsyncGenerator<Buffer, void, undefined> }> {
  const response = await client.request("GET", pathOf(container, "archive"), { query: { path } });
  return { stat: parseStat(response.head.headers.get(statHeader)), tar: response.body };
}

/**
 * Unpacks a tar in a directory of a container.
 *
 * @param options.ownByUser  everything belongs to the container's user, whatever the tar says
 * @throws DaemonError, what `tar` throws
 */
export async function writeContainerArchive(
  client: Client,
  container: string,
  path: string,
  tar: AsyncIterable<Buffer>,
  options: { readonly ownByUser: boolean },
): Promise<void> {
  await client.send("PUT", pathOf(container, "archive"), {
    query: { path, noOverwriteDirNonDir: "true", copyUIDGID: options.ownByUser ? "true" : undefined },
    stream: tar,
    contentType: "application/x-tar",
  });
}

/** A path that a container changed: 0 is changed, 1 added, 2 deleted. */
export interface ContainerChange {
  readonly Kind: number;
  readonly Path: string;
}

export async function containerChanges(client: Client, container: string): Promise<readonly ContainerChange[]> {
  return (await client.json<readonly ContainerChange[] | null>("GET", pathOf(container, "changes"))) ?? [];
}
