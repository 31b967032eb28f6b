// Why a runtime did not start a process, in dockerd's words. The Docker CLI and scripts look for these texts:
// "executable file not found", "no such file or directory", "permission denied", "is a directory". Pure.
// Source: dockerd 28.5's answers, and the log formats of crun(1) and runc(8) with --log-format json.

import type { StartFailure } from "./shim.ts";

/** What the shim tells about a runtime that ended without success. */
export interface RuntimeFailure {
  readonly operation: "create" | "exec";
  /** Name of the runtime's program, "crun". */
  readonly runtime: string;
  /** Set when the runtime itself could not be executed. */
  readonly reason: string | undefined;
  /** Exit status of the runtime; 128 + n when signal n killed it. */
  readonly status: number;
  /** The runtime's log: one JSON object per line. */
  readonly log: string;
  readonly stderr: string;
  /** First argument of the process, where it is known. */
  readonly command: string | undefined;
}

function lastError(log: string): string | undefined {
  let last: string | undefined;
  for (const line of log.split("\n")) {
    if (line === "") continue;
    let entry: unknown;
    try {
      entry = JSON.parse(line);
    } catch {
      last ??= line;
      continue;
    }
    if (typeof entry !== "object" || entry === null || !("msg" in entry) || typeof entry.msg !== "string") continue;
    if ("level" in entry && entry.level !== "error" && entry.level !== "fatal") continue;
    last = entry.msg;
  }
  return last;
}

// What went wrong with a command, by the text of errno that crun gives; the words are runc's.
const faults: Readonly<Record<string, (command: string) => string>> = {
  "No such file or directory": (command) =>
    command.includes("/") ? `stat ${command}: no such file or directory` : "executable file not found in $PATH",
  "Permission denied": () => "permission denied",
  "Operation not permitted": () => "permission denied", // crun says so of what is not a regular file
  "Is a directory": () => "permission denied",
  "Not a directory": (command) => `stat ${command}: not a directory`,
  "Exec format error": () => "exec format error",
};

// crun's words for a command at fault, in runc's. Older ones do not name the command: it is the process's first argument.
function commandFault(message: string, command: string | undefined): string | undefined {
  const match =
    /^executable file `(?<name>.*)` not found(?: in \$PATH)?: (?<errno>.*)$/s.exec(message) ??
    /^exec container process `(?<name>.*)`: (?<errno>.*)$/s.exec(message) ??
    /^open executable: (?<errno>.*)$/.exec(message);
  const name = match?.groups?.["name"] ?? command;
  const say = faults[match?.groups?.["errno"] ?? ""];
  // crun finds a directory where runc finds nothing.
  if (name === "" && say !== undefined) return 'exec: "": executable file not found in $PATH';
  return name === undefined || say === undefined ? undefined : `exec: ${JSON.stringify(name)}: ${say(name)}`;
}

const wrongKind =
  ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type";

// crun's words for what it could not prepare for the process, in runc's.
function preparationFault(message: string): string | undefined {
  const [, step = "", errno = ""] = /^(.*): ([^:]*)$/s.exec(message) ?? [];
  const reason = errno.charAt(0).toLowerCase() + errno.slice(1);
  const directory = /^chdir `(.*)`$/s.exec(step)?.[1];
  if (directory !== undefined)
    return `chdir to cwd (${JSON.stringify(directory)}) set in config.json failed: ${reason}`;
  const [, source, target] = /^mount `(.*)` to `(.*)`$/s.exec(step) ?? [];
  if (source !== undefined && target !== undefined) {
    const place = `/${target.replace(/^\//, "")}`;
    const hint = reason === "not a directory" ? wrongKind : "";
    return `error during container init: error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(place)}: mount ${source}:${place}: ${reason}${hint}`;
  }
  if (step.startsWith("open /proc/sys/")) return `error during container init: ${step}: ${reason}`;
  return undefined;
}

function exitCodeOf(message: string): number {
  const text = message.toLowerCase();
  if (/executable file not found|no such file or directory|not a directory/.test(text)) return 127;
  if (/permission denied|is a directory|exec format error/.test(text)) return 126;
  return 128;
}

/** The message that dockerd would give, and the exit code that it would record: 127, 126 or 128. */
export function renderStartFailure(failure: RuntimeFailure): StartFailure {
  const { operation, runtime } = failure;
  const prefix =
    operation === "create"
      ? "failed to create task for container: failed to create shim task: OCI runtime create failed: "
      : "OCI runtime exec failed: ";
  if (failure.reason !== undefined)
    return { exitCode: 128, message: `${prefix}unable to start the runtime: ${failure.reason}` };
  const message =
    lastError(failure.log) ??
    (failure.stderr.trim() === "" ? undefined : failure.stderr.trim()) ??
    `${runtime} ended with status ${failure.status} and said nothing`;
  const fault = commandFault(message, failure.command) ?? preparationFault(message);
  if (fault !== undefined) {
    const stage = operation === "create" ? `${runtime} create failed` : "exec failed";
    return { exitCode: exitCodeOf(fault), message: `${prefix}${stage}: unable to start container process: ${fault}` };
  }
  const own =
    message.startsWith(`${runtime} `) || message.startsWith("exec failed") ? message : `${runtime}: ${message}`;
  // dockerd creates and starts in two steps, so its users read "create failed".
  const said = own.replace(/^(\S+) run failed: /, "$1 create failed: ");
  return { exitCode: exitCodeOf(message), message: `${prefix}${said}` };
}
