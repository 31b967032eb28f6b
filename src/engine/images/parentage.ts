// Whether an image can have been made from another one. An archive may claim it; the histories have to agree.

import type { HistoryEntry, OciImageConfig } from "../../spec/oci/image.ts";

/** True when the child's history is the parent's and one step more, or neither has one. Source: dockerd's check at load. */
export function continuesHistory(child: OciImageConfig, parent: OciImageConfig): boolean {
  const own = (child.history ?? []).map(keyOf);
  const inherited = (parent.history ?? []).map(keyOf);
  if (own.length === 0 && inherited.length === 0) return true;
  return own.length === inherited.length + 1 && inherited.every((key, index) => key === own[index]);
}

function keyOf(entry: HistoryEntry): string {
  const { created, created_by, author, comment, empty_layer } = entry;
  return JSON.stringify([created ?? null, created_by ?? "", author ?? "", comment ?? "", empty_layer === true]);
}
