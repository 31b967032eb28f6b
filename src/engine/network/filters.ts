// The filters of GET /networks. Pure. Source: Engine API 1.51, NetworkList; texts are dockerd's.

import { EngineError } from "../../base/errors.ts";
import type { Filters } from "../api/ports.ts";
import type { NetworkRecord } from "./record.ts";

const known = new Set(["dangling", "driver", "id", "label", "name", "scope", "type"]);

function parseDangling(values: readonly string[]): boolean | undefined {
  if (values.length === 0) return undefined;
  if (values.every((value) => value === "true" || value === "1")) return true;
  if (values.every((value) => value === "false" || value === "0")) return false;
  throw new EngineError(
    "InvalidParameter",
    'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
  );
}

/** @throws InvalidParameter an unknown filter, or a value that it cannot have */
export function filterNetworks(records: readonly NetworkRecord[], filters: Filters): readonly NetworkRecord[] {
  for (const key of filters.keys())
    if (!known.has(key)) throw new EngineError("InvalidParameter", `invalid filter '${key}'`);
  const values = (key: string): readonly string[] => filters.get(key) ?? [];
  for (const type of values("type"))
    if (type !== "builtin" && type !== "custom")
      throw new EngineError("InvalidParameter", `invalid filter: 'type'='${type}'`);
  const dangling = parseDangling(values("dangling"));
  const matches = (key: string, test: (value: string) => boolean): boolean =>
    values(key).length === 0 || values(key).some(test);
  return records.filter(
    (record) =>
      matches("name", (value) => record.name.includes(value)) &&
      matches("id", (value) => record.id.startsWith(value)) &&
      matches("driver", (value) => record.driver === value) &&
      matches("scope", (value) => value === "local") &&
      // All networks are built in and without labels until named networks exist.
      matches("type", (value) => value === "builtin") &&
      values("label").length === 0 &&
      dangling !== true,
  );
}
