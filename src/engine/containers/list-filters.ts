// The filters of GET /containers/json and of prune: parsed once into a predicate. Unknown filters and values are refused in
// dockerd's words. Source: Engine API 1.51, ContainerList, ContainerPrune; behaviour of dockerd 28.5.

import { EngineError } from "../../base/errors.ts";
import type { Digest } from "../../base/digest.ts";
import { parseRfc3339 } from "../../base/time.ts";
import { parseGoDuration } from "../../base/units.ts";
import type { Filters } from "../api/ports.ts";
import type { ContainerRecord } from "./model.ts";
import { isActive } from "./state.ts";

/** What the filters need of the other rooms. */
export interface FilterContext {
  /** @throws NotFound "No such container: x" */
  find(nameOrId: string): ContainerRecord;
  /** The image and those made of it; undefined where there is no such image. */
  imageOf(reference: string): Promise<Digest | undefined>;
  /** As clients are shown it. */
  statusOf(record: ContainerRecord): string;
  /** Ids and names of the networks of a container. */
  networksOf(record: ContainerRecord): readonly string[];
  /** The ports of the host that lead to a container. */
  publishedBy(record: ContainerRecord): readonly { readonly hostPort: number; readonly protocol: string }[];
}

type Predicate = (record: ContainerRecord) => boolean;

const states = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const healths = ["none", "starting", "healthy", "unhealthy"];
const known = [
  "ancestor",
  "before",
  "exited",
  "id",
  "isolation",
  "label",
  "name",
  "status",
  "health",
  "since",
  "volume",
  "network",
  "is-task",
  "publish",
  "expose",
];

/** Whether the filters mean containers of all states; with any other filter, dockerd keeps to those that run. */
export function impliesAll(filters: Filters): boolean {
  return (filters.get("status") ?? []).length > 0;
}

/**
 * @throws InvalidParameter "invalid filter 'x'"
 * @throws NotFound         before or since name no container
 */
export async function parseListFilters(filters: Filters, context: FilterContext): Promise<Predicate> {
  for (const key of filters.keys()) if (!known.includes(key)) throw invalid(key);
  const predicates: Predicate[] = [];
  for (const [key, values] of filters) {
    if (values.length > 0) predicates.push(await parseOne(key, values, context));
  }
  return (record) => predicates.every((matches) => matches(record));
}

async function parseOne(key: string, values: readonly string[], context: FilterContext): Promise<Predicate> {
  switch (key) {
    case "id":
      return ({ id }) => values.some((value) => id.startsWith(value) || matchesPattern(id, value));
    case "name":
      return ({ name }) =>
        values.some((value) => matchesPattern(name, value.replace(/^\//, "")) || matchesPattern(`/${name}`, value));
    case "label":
      return labelPredicate(values);
    case "exited": {
      const codes = values.map((value) => {
        if (!/^[+-]?\d{1,10}$/.test(value))
          throw invalid(`exited=${value}`, `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
        return Number(value);
      });
      return ({ state }) => state.status === "exited" && codes.includes(state.exitCode);
    }
    case "status":
      for (const value of values) {
        if (!states.includes(value))
          throw invalid(`status=${value}`, `invalid value for state (${value}): must be one of ${states.join(", ")}`);
      }
      return (record) => values.includes(context.statusOf(record));
    case "health":
      for (const value of values) {
        if (!healths.includes(value))
          throw invalid(`health=${value}`, `invalid value for health (${value}): must be one of ${healths.join(", ")}`);
      }
      return () => values.includes("none");
    case "ancestor": {
      const images = new Set(
        (await Promise.all(values.map((value) => context.imageOf(value)))).filter((id) => id !== undefined),
      );
      return ({ imageId }) => images.has(imageId);
    }
    case "before": {
      // The last value wins in dockerd; the newest of several is the same for the usual single one.
      const limits = values.map((value) => context.find(value).created);
      return ({ created }) => limits.every((limit) => created < limit);
    }
    case "since": {
      const limits = values.map((value) => context.find(value).created);
      return ({ created }) => limits.every((limit) => created > limit);
    }
    case "volume":
      return ({ mounts }) =>
        mounts.some(
          (mount) =>
            values.includes(mount.Destination ?? "") ||
            // The host's path of what has a name is nobody's business.
            values.includes(mount.Name || (mount.Source ?? "")),
        );
    case "network":
      return (record) =>
        context
          .networksOf(record)
          .some(
            (network) =>
              network !== "" &&
              values.some(
                (value) =>
                  network === value || (value !== "" && /^[0-9a-f]{64}$/.test(network) && network.startsWith(value)),
              ),
          );
    case "is-task": {
      const wanted = values.map((value) => parseBoolean(value));
      if (wanted.includes(undefined)) throw invalid(`is-task=[${values.join(" ")}]`);
      // Nothing of this engine is a task of a swarm.
      return () => wanted.includes(false);
    }
    case "publish": {
      const ports = new Set(values.flatMap((value) => parsePorts("publish", value)));
      return (record) =>
        context.publishedBy(record).some(({ hostPort, protocol }) => ports.has(`${hostPort}/${protocol}`));
    }
    case "expose": {
      const ports = new Set(values.flatMap((value) => parsePorts("expose", value)));
      // As in dockerd, ports are exposed only while their container runs.
      return ({ config, state }) =>
        isActive(state.status) && Object.keys(config.ExposedPorts ?? {}).some((port) => ports.has(port));
    }
    default:
      // isolation means something on Windows only.
      return () => true;
  }
}

/** Filters of prune: until and label(!). The containers asked about are never running. */
export function parsePruneFilters(filters: Filters, nowNs: bigint): Predicate {
  for (const key of filters.keys()) if (!["until", "label", "label!"].includes(key)) throw invalid(key);
  const untils = filters.get("until") ?? [];
  if (untils.length > 1) throw new EngineError("InvalidParameter", "more than one until filter specified");
  const [until] = untils;
  const limitNs = until === undefined ? undefined : parseUntil(until, nowNs);
  const wanted = labelPredicate(filters.get("label") ?? []);
  const unwanted = filters.get("label!") ?? [];
  return (record) =>
    (limitNs === undefined || (parseRfc3339(record.created) ?? 0n) <= limitNs) &&
    wanted(record) &&
    !(unwanted.length > 0 && labelPredicate(unwanted)(record));
}

/** A point in time (RFC 3339, a date, unix seconds) or a duration before now. */
function parseUntil(text: string, nowNs: bigint): bigint {
  const time =
    parseRfc3339(text) ?? parseRfc3339(`${text}Z`) ?? parseRfc3339(`${text}T00:00:00Z`) ?? parseRfc3339(`${text}:00Z`);
  if (time !== undefined) return time;
  const unix = /^(\d{1,11})(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return BigInt(unix[1] ?? 0) * 1_000_000_000n + BigInt((unix[2] ?? "").padEnd(9, "0"));
  try {
    return nowNs - BigInt(Math.round(parseGoDuration(text)));
  } catch {
    throw new EngineError("InvalidParameter", `failed to parse value as time or duration: ${JSON.stringify(text)}`);
  }
}

function labelPredicate(values: readonly string[]): Predicate {
  return ({ config }) =>
    values.every((value) => {
      const at = value.indexOf("=");
      const labels = config.Labels ?? {};
      return at < 0 ? value in labels : labels[value.slice(0, at)] === value.slice(at + 1);
    });
}

/** Names and ids match as regular expressions; a text that is none matches as itself. */
function matchesPattern(text: string, pattern: string): boolean {
  if (pattern.length > 200) return text === pattern;
  // Only the part of the language that cannot run away: no groups, no repetition of repetition.
  if (/[(){}]|[*+?][*+?]/.test(pattern)) return text.includes(pattern);
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return text.includes(pattern);
  }
}

/** "80", "80/tcp", "80-82/udp" → "80/tcp" … */
function parsePorts(key: string, text: string): readonly string[] {
  const [range = "", protocol = "tcp"] = text.split("/");
  const [first = "", last = first] = range.split("-");
  for (const part of [first, last]) {
    if (!/^\d{1,5}$/.test(part) || Number(part) > 65535) {
      throw new EngineError(
        "InvalidParameter",
        `error while looking up for ${key} ${text}: strconv.ParseUint: parsing ${JSON.stringify(part)}: invalid syntax`,
      );
    }
  }
  const count = Number(last) - Number(first) + 1;
  if (count < 1) throw new EngineError("InvalidParameter", `error while looking up for ${key} ${text}: invalid range`);
  return Array.from({ length: count }, (_, n) => `${Number(first) + n}/${protocol}`);
}

function parseBoolean(text: string): boolean | undefined {
  if (["1", "t", "T", "true", "True", "TRUE"].includes(text)) return true;
  return ["0", "f", "F", "false", "False", "FALSE"].includes(text) ? false : undefined;
}

function invalid(filter: string, reason?: string): EngineError {
  return new EngineError("InvalidParameter", `invalid filter '${filter}'${reason === undefined ? "" : `: ${reason}`}`);
}
