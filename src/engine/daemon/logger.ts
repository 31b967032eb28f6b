// The daemon's log on stderr: logfmt lines as dockerd writes them, or JSON. The level can change while it runs.

import { writeSync } from "node:fs";
import { type LogFields, type Logger, type LogLevel, renderLogLine } from "../../base/log.ts";
import { nowRfc3339Nano } from "../../base/time.ts";

export interface DaemonLogger extends Logger {
  setLevel(level: LogLevel): void;
}

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 };

/** @param write takes whole lines; stderr without it */
export function createLogger(
  format: "text" | "json",
  initialLevel: LogLevel,
  write: (line: string) => void = writeStderr,
): DaemonLogger {
  let level = initialLevel;
  const log = (at: LogLevel, message: string, fields: LogFields = {}): void => {
    if (ranks[at] >= ranks[level]) write(`${renderLogLine(format, at, nowRfc3339Nano(), message, fields)}\n`);
  };
  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    setLevel(wanted) {
      level = wanted;
    },
  };
}

function writeStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // A full or closed log must not stop the engine.
  }
}
