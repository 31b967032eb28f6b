// The bytes of an image's config, laid out as BuildKit lays them out: members of the top in the order of their names, those of
// `config` in the order of Go's struct, empty ones left out. The same build has the same id in both engines.
// Sources: OCI image-spec 1.1, config.md; configs that dockerd 28.5 made (image-config.test.ts).

import { type HistoryEntry, imageConfigOrder, type OciImageConfig } from "../../../spec/oci/image.ts";
import { goTime, renderGoJson, sortMembers } from "./go-json.ts";

const mapMembers = new Set(["ExposedPorts", "Volumes", "Labels"]);
const healthOrder = ["Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"];
/** What only classic builds and commits write. */
const dropped = new Set(["docker_version", "comment", "container", "container_config", "id", "parent"]);
/** Member with the inline cache. Source: BuildKit, its inline cache exporter. */
const inlineCacheMember = "moby.buildkit.cache.v0";

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function pick(object: Readonly<Record<string, unknown>>, order: readonly string[]): Record<string, unknown> {
  const rest = Object.keys(object)
    .filter((key) => !order.includes(key))
    .sort();
  return Object.fromEntries(
    [...order, ...rest].map((key) => [key, object[key]]).filter(([, value]) => !isEmpty(value)),
  );
}

function renderContainerConfig(config: Readonly<Record<string, unknown>>): unknown {
  const members = pick(config, imageConfigOrder);
  for (const key of mapMembers)
    if (members[key] !== undefined) members[key] = sortMembers(members[key] as Record<string, unknown>);
  const health = members["Healthcheck"];
  if (health !== undefined) members["Healthcheck"] = pick(health as Record<string, unknown>, healthOrder);
  return members;
}

function renderHistory({ created, created_by, author, comment, empty_layer }: HistoryEntry): unknown {
  return {
    ...(created === undefined ? {} : { created: goTime(created) }),
    ...(isEmpty(created_by) ? {} : { created_by }),
    ...(isEmpty(author) ? {} : { author }),
    ...(isEmpty(comment) ? {} : { comment }),
    ...(empty_layer === true ? { empty_layer: true } : {}),
  };
}

/** @param inlineCache undefined for none */
export function renderImageConfig(config: OciImageConfig, inlineCache: unknown): Buffer {
  const { config: container, created, history, rootfs, ...rest } = config;
  const others = Object.entries(rest).filter(([key, value]) => !dropped.has(key) && !isEmpty(value));
  const document = sortMembers({
    ...Object.fromEntries(others),
    architecture: config.architecture,
    os: config.os,
    config: renderContainerConfig((container ?? {}) as Readonly<Record<string, unknown>>),
    ...(created === undefined ? {} : { created: goTime(created) }),
    ...(history === undefined ? {} : { history: history.map(renderHistory) }),
    rootfs: { type: rootfs.type, diff_ids: rootfs.diff_ids },
    ...(inlineCache === undefined ? {} : { [inlineCacheMember]: inlineCache }),
  });
  return Buffer.from(renderGoJson(document));
}
