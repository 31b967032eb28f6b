// Mounts of a step → views that its shim puts into its root. Targets below /dev and /sys are the runtime's to make: the spec binds
// them from the run directory.

import { posix } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import type { OciMount } from "../../../spec/oci/runtime.ts";
import type { ShimView } from "../../runtime/shim.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { Snapshot } from "../solver/index.ts";

/** What shall be seen, and where. */
export interface WantedView {
  readonly target: string;
  readonly tree: ShimView["tree"];
  readonly source?: string | undefined;
  readonly readonly: boolean;
}

export interface StepViews {
  readonly views: readonly ShimView[];
  /** For the spec. */
  readonly mounts: readonly OciMount[];
}

/**
 * A target in the step's root, absolute and clean.
 *
 * @throws InvalidParameter the root itself, or inside /proc: what is mounted there would uncover what is masked
 */
export function cleanTarget(target: string, workingDirectory: string): string {
  if (target.includes("\0")) throw new EngineError("InvalidParameter", "invalid mount target: it has a NUL byte");
  const clean = posix.resolve("/", workingDirectory, target);
  if (clean === "/") throw new EngineError("InvalidParameter", `invalid mount target ${JSON.stringify(target)}`);
  if (clean === "/proc" || clean.startsWith("/proc/"))
    throw new EngineError("InvalidParameter", `${JSON.stringify(clean)} cannot be mounted because it is inside /proc`);
  return clean;
}

/**
 * The tree of another snapshot.
 *
 * @param empty      a directory with nothing in it
 * @param throwAway  makes where writes go; undefined for read-only
 */
export function snapshotTree(
  snapshot: Snapshot,
  layers: Pick<BuildLayers, "directories">,
  empty: string,
  throwAway: (() => { readonly upper: string; readonly work: string }) | undefined,
): ShimView["tree"] {
  const lower =
    snapshot.kind === "directory"
      ? [snapshot.directory.path]
      : snapshot.layers.length === 0
        ? [empty]
        : layers.directories(snapshot.layers);
  const [first = empty] = lower;
  if (throwAway !== undefined) return { kind: "layers", lower, writable: throwAway() };
  if (snapshot.kind === "directory" || snapshot.layers.length === 0)
    return { kind: "path", path: first, isSocket: false };
  // An overlay of layers shows what a bind of one would not hide: its whiteouts.
  return { kind: "layers", lower: lower.length === 1 ? [...lower, empty] : lower, writable: undefined };
}

function isRuntimes(target: string): boolean {
  return ["/dev", "/sys"].some((place) => target === place || target.startsWith(`${place}/`));
}

/** Names them, outer ones first; equal depth keeps the order. */
export function planViews(wanted: readonly WantedView[], runDir: string): StepViews {
  const depth = ({ target }: WantedView): number => target.split("/").length;
  const sorted = wanted
    .map((view, order) => ({ view, order }))
    .sort((a, b) => depth(a.view) - depth(b.view) || a.order - b.order)
    .map(({ view }, index) => ({ ...view, name: String(index) }));
  const views = sorted.map(({ name, tree, source, target, readonly }): ShimView => {
    const inner = source === undefined || posix.resolve("/", source) === "/" ? undefined : source;
    return { name, tree, source: inner, target: isRuntimes(target) ? undefined : target, readonly };
  });
  const mounts = sorted
    .filter(({ target }) => isRuntimes(target))
    .map(
      ({ name, target, readonly }): OciMount => ({
        destination: target,
        type: "bind",
        source: `${runDir}/views/${name}`,
        options: ["bind", "rprivate", ...(readonly ? ["ro"] : [])],
      }),
    );
  return { views, mounts };
}
