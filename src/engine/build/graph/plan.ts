// The graph as text, for `gantry build --plan`: a line per vertex, inputs before those who need them, the same every time.

import { type Digest, hexOf } from "../../../base/digest.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import type { Graph, Op } from "./index.ts";

export interface BuildPlan {
  readonly graph: Graph;
  /** What is known of the cache: vertex → whether a record is there, undefined where only content decides; see BuildCache.known. */
  readonly cached: ReadonlyMap<Digest, boolean | undefined>;
}

function detail(op: Op): string {
  switch (op.kind) {
    case "image":
      return `${op.reference} ${renderPlatform(op.platform)}`;
    case "local":
      return `${op.name} (${op.followPaths.length === 0 ? "everything" : op.followPaths.join(", ")})`;
    case "http":
      return op.url;
    case "git":
      return `${op.remote}${op.ref === "" ? "" : `#${op.ref}`}${op.subdirectory === "" ? "" : `:${op.subdirectory}`}`;
    case "oci-layout":
      return `${op.storeId}/${op.reference}`;
    case "file":
      return op.actions
        .map((action) => {
          if (action.action === "copy") return `copy #${action.input}:${action.source} → ${action.destination}`;
          return `${action.action} ${action.path}`;
        })
        .join("; ");
    case "exec":
      return `${JSON.stringify(op.args)} network=${op.network} mounts=${op.mounts.length}`;
    case "merge":
      return "";
  }
}

function stateOf(cached: boolean | undefined): string {
  if (cached === undefined) return "content";
  return cached ? "cached" : "run";
}

/** Two lines per vertex: number, cache, name, kind and what it does, numbers of its inputs. */
export function renderPlan(plan: BuildPlan): string {
  const numbers = new Map([...plan.graph.vertices.keys()].map((digest, index) => [digest, index + 1]));
  const width = String(numbers.size).length;
  const lines = [...plan.graph.vertices.values()].map(({ digest, op, inputs, name, ignoreCache }) => {
    const state = ignoreCache ? "no cache" : plan.cached.has(digest) ? stateOf(plan.cached.get(digest)) : "";
    const number = String(numbers.get(digest) ?? 0).padStart(width);
    const from = inputs.length === 0 ? "" : ` ← ${inputs.map((input) => numbers.get(input) ?? "?").join(", ")}`;
    return `${number} ${state.padEnd(8)} ${name}${from}\n${" ".repeat(width)}          ${hexOf(digest).slice(0, 12)} ${op.kind} ${detail(op)}`.trimEnd();
  });
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
