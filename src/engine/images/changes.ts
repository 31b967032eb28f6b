// `--change` of docker import and commit: Dockerfile instructions that only touch the config. Texts of refusals
// are dockerd's. Source: docker import documentation; Dockerfile reference.

import { EngineError } from "../../base/errors.ts";
import type { HealthConfig } from "../../spec/docker/container.ts";
import type { ImageConfig } from "../../spec/docker/image.ts";
import { parseHealthcheck } from "./healthcheck-change.ts";
import { expandWords } from "./words.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Config = Mutable<ImageConfig> & { Healthcheck?: HealthConfig };

const signals = new Set(
  (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN " +
    "TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX"
  ).split(" "),
);

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/**
 * Applies instructions to a config.
 *
 * @param changes one or more lines each
 * @throws InvalidParameter an unknown instruction, or one that is malformed
 */
export function applyChanges<T extends ImageConfig>(base: T, changes: readonly string[]): T {
  const config: Config = { ...base };
  let hasCommand = false;
  for (const line of changes.flatMap((change) => joinLines(change))) {
    const instruction = applyChange(config, line);
    if (instruction === "CMD") hasCommand = true;
    // An entry point makes what the image had as its command void, but not what was said before in the same breath.
    if (instruction === "ENTRYPOINT" && !hasCommand) config.Cmd = null;
  }
  return { ...base, ...config };
}

/** Lines without comments and empty ones; a backslash at the end continues a line. */
function joinLines(change: string): readonly string[] {
  const lines = change
    .split(/\r?\n/)
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join("\n")
    .replaceAll(/\\[ \t]*\n/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (lines.length === 0) throw invalid("file with no instructions");
  return lines;
}

function applyChange(config: Config, line: string): string {
  const [, word = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
  const instruction = word.toUpperCase();
  const apply = instructions[instruction];
  if (apply === undefined) throw invalid(`${word} is not a valid change command`);
  apply(config, rest, instruction);
  return instruction;
}

type Apply = (config: Config, rest: string, instruction: string) => void;

const instructions: Readonly<Record<string, Apply>> = {
  CMD: (config, rest) => {
    config.Cmd = parseCommand(rest);
  },
  ENTRYPOINT: (config, rest) => {
    config.Entrypoint = parseCommand(rest);
  },
  ENV: (config, rest) => {
    const before = config.Env ?? [];
    let env = before;
    for (const [key, value] of parsePairs(rest, "ENV", before))
      env = [...env.filter((item) => !item.startsWith(`${key}=`)), `${key}=${value}`];
    config.Env = env;
  },
  LABEL: (config, rest) => {
    config.Labels = { ...config.Labels, ...Object.fromEntries(parsePairs(rest, "LABEL", config.Env ?? [])) };
  },
  EXPOSE: (config, rest) => {
    const words = expandWords(rest, config.Env ?? []);
    if (words.length === 0) throw invalid("EXPOSE requires at least one argument");
    config.ExposedPorts = {
      ...config.ExposedPorts,
      ...Object.fromEntries(words.flatMap(parsePorts).map((port) => [port, {}])),
    };
  },
  USER: (config, rest) => {
    if (rest === "") throw invalid("USER requires exactly one argument");
    config.User = expandWords(rest, config.Env ?? []).join(" ");
  },
  WORKDIR: (config, rest) => {
    if (rest === "") throw invalid("WORKDIR requires exactly one argument");
    config.WorkingDir = joinPath(config.WorkingDir ?? "", expandWords(rest, config.Env ?? []).join(" "));
  },
  STOPSIGNAL: (config, rest) => {
    if (rest === "" || /\s/.test(rest)) throw invalid("STOPSIGNAL requires exactly one argument");
    const [signal = ""] = expandWords(rest, config.Env ?? []);
    if (!isSignal(signal)) throw invalid(`invalid signal: ${signal}`);
    config.StopSignal = signal;
  },
  ONBUILD: (config, rest) => {
    const trigger = (rest.split(/\s/, 1)[0] ?? "").toUpperCase();
    if (trigger === "") throw invalid("ONBUILD requires at least one argument");
    if (trigger === "ONBUILD") throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger === "MAINTAINER" || trigger === "FROM") throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`);
    config.OnBuild = [...(config.OnBuild ?? []), rest];
  },
  VOLUME: (config, rest) => {
    const paths = parseList(rest) ?? expandWords(rest, config.Env ?? []);
    if (paths.length === 0) throw invalid("VOLUME requires at least one argument");
    if (paths.some((path) => path.trim() === "")) throw invalid("VOLUME specified can not be an empty string");
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
  },
  HEALTHCHECK: (config, rest) => {
    config.Healthcheck = parseHealthcheck(rest, parseList);
  },
};

/** A JSON list of strings, or undefined for anything else. */
function parseList(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

function parseCommand(rest: string): readonly string[] {
  const list = parseList(rest);
  if (list !== undefined) return list;
  return rest === "" ? ["/bin/sh", "-c"] : ["/bin/sh", "-c", rest];
}

/** `A=b C="d e"`, or the old form `A b c` of one pair. */
function parsePairs(rest: string, instruction: string, env: readonly string[]): readonly (readonly [string, string])[] {
  const first = rest.split(/\s/, 1)[0] ?? "";
  if (rest === "") throw invalid(`${instruction} requires at least one argument`);
  if (!first.includes("=")) {
    const value = rest.slice(first.length).trim();
    if (value === "") throw invalid(`${instruction} must have two arguments`);
    return [[first, expandWords(value, env).join(" ")]];
  }
  return expandWords(rest, env).map((word) => {
    const equals = word.indexOf("=");
    if (equals === -1)
      throw invalid(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    if (equals === 0) throw invalid(`${instruction} names can not be blank`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

/** "80", "80/udp", "90-92": one key of ExposedPorts each. */
function parsePorts(word: string): readonly string[] {
  const [range = "", protocol = "tcp"] = word.split("/", 2);
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first > 65535 || last > 65535 || last < first) throw invalid(`Invalid containerPort: ${range}`);
  if (!["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) throw invalid(`Invalid proto: ${protocol}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

function joinPath(base: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64;
  const name = text.toUpperCase().replace(/^SIG/, "");
  return signals.has(name) || /^RTMIN\+([1-9]|1[0-5])$/.test(name) || /^RTMAX-([1-9]|1[0-4])$/.test(name);
}
