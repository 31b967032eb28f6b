// What a provenance says that only the build knows: what went into it, and how it was asked for.

import { parseNamed, renderFamiliar } from "../../base/reference.ts";
import { renderPlatform } from "../../spec/oci/platform.ts";
import type { ProvenanceFacts } from "./attest/index.ts";
import type { Graph, Op } from "./graph/index.ts";

function imageUri(reference: string, platform: Extract<Op, { readonly kind: "image" }>["platform"]): string {
  const where = `?platform=${encodeURIComponent(renderPlatform(platform))}`;
  try {
    const named = parseNamed(reference);
    const name = renderFamiliar({ ...named, tag: undefined, digest: undefined });
    return `pkg:docker/${name}${named.tag === undefined ? "" : `@${named.tag}`}${where}`;
  } catch {
    return `pkg:docker/${reference}${where}`;
  }
}

function digestSet(digest: string): Readonly<Record<string, string>> {
  const colon = digest.indexOf(":");
  return { [digest.slice(0, colon)]: digest.slice(colon + 1) };
}

/** Sources of the graph that have a name outside of the build: images, repositories, downloads. */
export function materialsOf(graph: Graph): ProvenanceFacts["materials"] {
  return [...graph.vertices.values()].flatMap(({ op }) => {
    switch (op.kind) {
      case "image": {
        const at = op.reference.indexOf("@");
        const digest = at === -1 ? op.imageId : op.reference.slice(at + 1);
        return [{ uri: imageUri(op.reference.replace(/@.*$/, ""), op.platform), digest: digestSet(digest) }];
      }
      case "git": {
        const uri = `${op.remote}${op.ref === "" ? "" : `#${op.ref}`}`;
        return [{ uri, digest: op.checksum === undefined ? {} : { sha1: op.checksum } }];
      }
      case "http":
        return [{ uri: op.url, digest: op.checksum === undefined ? {} : digestSet(op.checksum) }];
      case "oci-layout":
        return [{ uri: `pkg:oci/${op.reference}`, digest: digestSet(op.digest) }];
      case "local":
      case "file":
      case "exec":
      case "merge":
        return [];
    }
  });
}

/** Options whose values are the client's own business. */
const hidden = /^(?:local-sessionid:|contextkey|sharedkey)/;

/** The request as it goes into records: without proxies, whose values have passwords in them. */
export function recordedRequest(raw: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept = Object.entries(raw).filter(
    ([name]) => !hidden.test(name) && !/^build-arg:(?:https?|ftp|no|all)_proxy$/i.test(name),
  );
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}
