// A file of the configuration that may change while the server runs: read again when it has changed, at most once a second.
// A version that cannot be parsed is reported, and the one before stays.

import { readFileSync, statSync } from "node:fs";
import { EngineError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

export interface WatchedFile<T> {
  /** What the file says now. */
  value(): T;
}

const pauseMs = 1000;

function fingerprint(path: string): string {
  const { mtimeNs, ctimeNs, size, ino } = statSync(path, { bigint: true });
  return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
}

/** @throws InvalidParameter the file cannot be read or parsed now */
export function watchFile<T>(path: string, parse: (bytes: Buffer) => T, logger: Logger): WatchedFile<T> {
  const read = (): { readonly state: string; readonly value: T } => {
    try {
      const state = fingerprint(path);
      return { state, value: parse(readFileSync(path)) };
    } catch (cause) {
      throw new EngineError("InvalidParameter", `${path}: ${messageOf(cause)}`, { cause });
    }
  };
  let { state, value } = read();
  let lookedAt = performance.now();
  let complaint = "";
  return {
    value() {
      const now = performance.now();
      if (now - lookedAt < pauseMs) return value;
      lookedAt = now;
      try {
        if (fingerprint(path) === state) return value;
        ({ state, value } = read());
        complaint = "";
        logger.info("file was read again", { path });
      } catch (error) {
        if (messageOf(error) !== complaint)
          logger.error("file is not usable, the one before stays", { path, error: messageOf(error) });
        complaint = messageOf(error);
      }
      return value;
    },
  };
}
