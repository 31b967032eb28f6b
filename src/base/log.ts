// The engine's own log: one line per event, levels as dockerd has them. Rooms take a Logger; nobody writes to the console.
// Lines are logfmt, as dockerd writes them, or JSON.

export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A logger that says nothing; for tests and tools. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function quoted(value: string | number | boolean): string {
  const text = String(value);
  return /^[A-Za-z0-9_./@^+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** One line of the log without its newline; a value can never begin a line of its own. */
export function renderLogLine(
  format: "text" | "json",
  level: LogLevel,
  time: string,
  message: string,
  fields: LogFields,
): string {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (format === "json") return JSON.stringify({ ...Object.fromEntries(given), level, msg: message, time });
  const words = given.map(([key, value]) => `${key}=${quoted(value ?? "")}`);
  return [`time=${quoted(time)}`, `level=${level}`, `msg=${JSON.stringify(message)}`, ...words].join(" ");
}
