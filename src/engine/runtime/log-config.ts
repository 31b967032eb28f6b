// HostConfig.LogConfig: the drivers json-file and none, and the options that the engine's logs understand.
// Source: Docker's "JSON File logging driver" page; texts as dockerd 28.5 gives them.

import { parseHumanSize, parseRamBytes, UnitError } from "../../base/units.ts";
import type { HostConfig } from "../../spec/docker/container.ts";

type LogConfig = NonNullable<HostConfig["LogConfig"]>;

const otherDrivers: ReadonlySet<string> = new Set([
  "local",
  "syslog",
  "journald",
  "gelf",
  "fluentd",
  "awslogs",
  "splunk",
  "gcplogs",
]);

/** Options of json-file that Docker knows. */
const knownOptions: ReadonlySet<string> = new Set([
  "max-size",
  "max-file",
  "compress",
  "labels",
  "labels-regex",
  "env",
  "env-regex",
  "tag",
  "mode",
  "max-buffer-size",
]);

/** How large and how many: 0 bytes is no rotation. */
export interface LogRotation {
  readonly maxSizeBytes: number;
  readonly maxFiles: number;
}

/** A size or what is wrong with it. */
function readSize(text: string, parse: (text: string) => number): number | string {
  try {
    const bytes = parse(text);
    return Number.isSafeInteger(bytes) ? bytes : `invalid size: '${text}'`;
  } catch (error) {
    if (error instanceof UnitError) return error.message;
    throw error;
  }
}

/** What a LogConfig asks for, once it passed checkLogConfig. One file where max-file is not given. "10k" is 10,000 bytes, as in dockerd. */
export function parseLogRotation(log: LogConfig): LogRotation {
  const size = log.Config?.["max-size"];
  const files = log.Config?.["max-file"];
  const maxSizeBytes = size === undefined ? 0 : parseHumanSize(size);
  return { maxSizeBytes, maxFiles: files === undefined ? 1 : Number(files) };
}

function checkJsonFile(options: Readonly<Record<string, string>>): readonly string[] {
  const errors: string[] = [];
  for (const key of Object.keys(options)) {
    if (!knownOptions.has(key)) errors.push(`unknown log opt '${key}' for json-file log driver`);
  }
  const { "max-size": size, "max-file": files, compress, mode, "max-buffer-size": buffer } = options;
  if (size !== undefined) {
    const bytes = readSize(size, parseHumanSize);
    if (typeof bytes === "string") errors.push(bytes);
    else if (bytes <= 0) errors.push("max-size must be a positive number");
  }
  if (files !== undefined) {
    if (!/^[+-]?[0-9]{1,9}$/.test(files)) errors.push(`strconv.Atoi: parsing ${JSON.stringify(files)}: invalid syntax`);
    else if (Number(files) < 1) errors.push("max-file cannot be less than 1");
  }
  if (compress !== undefined && !/^(?:1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(compress)) {
    errors.push(`strconv.ParseBool: parsing ${JSON.stringify(compress)}: invalid syntax`);
  }
  if (mode !== undefined && mode !== "" && mode !== "blocking" && mode !== "non-blocking") {
    errors.push(`logger: logging mode not supported: ${mode}`);
  }
  if (buffer !== undefined && mode !== "non-blocking") {
    errors.push("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  } else if (buffer !== undefined) {
    const bytes = readSize(buffer, parseRamBytes);
    if (typeof bytes === "string") errors.push(`error parsing option max-buffer-size: ${bytes}`);
  }
  return errors;
}

/** Options that are right and not built yet, with the values that mean "off" left out. */
function unsupportedOptions(options: Readonly<Record<string, string>>): readonly string[] {
  const off: Readonly<Record<string, readonly string[]>> = {
    compress: ["", "0", "f", "F", "false", "FALSE", "False"],
    mode: ["", "blocking"],
    tag: [""],
    labels: [""],
    "labels-regex": [""],
    env: [""],
    "env-regex": [""],
    "max-buffer-size": [],
  };
  return Object.entries(options).flatMap(([key, value]) =>
    Object.hasOwn(off, key) && !(off[key] ?? []).includes(value)
      ? [`HostConfig.LogConfig.Config[${JSON.stringify(key)}]`]
      : [],
  );
}

/** Complaints about driver and options; options of the driver none are without effect, as in Docker. */
export function checkLogConfig(log: LogConfig): {
  readonly errors: readonly string[];
  readonly unsupported: readonly string[];
} {
  const type: string = log.Type ?? "";
  if (type === "none") return { errors: [], unsupported: [] };
  if (type === "" || type === "json-file") {
    const options = log.Config ?? {};
    const errors = checkJsonFile(options);
    return { errors, unsupported: errors.length > 0 ? [] : unsupportedOptions(options) };
  }
  if (otherDrivers.has(type)) return { errors: [], unsupported: [`HostConfig.LogConfig.Type ${JSON.stringify(type)}`] };
  return {
    errors: [`error looking up logging plugin ${type}: plugin ${JSON.stringify(type)} not found`],
    unsupported: [],
  };
}
