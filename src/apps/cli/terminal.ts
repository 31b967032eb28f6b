// The user's terminal: raw mode with its restoration, size and its changes, detach keys, and the signals that are passed on.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "./command.ts";

/** [rows, columns] of stdout's terminal, or undefined when it is none. */
export function terminalSize(): readonly [number, number] | undefined {
  const { rows, columns } = process.stdout;
  return process.stdout.isTTY && rows > 0 && columns > 0 ? [rows, columns] : undefined;
}

/**
 * Puts stdin's terminal into raw mode; dispose restores it. Node restores it as well on exit, SIGINT and SIGTERM; SIGHUP is
 * looked after here.
 */
export function enterRawMode(): Disposable {
  if (!process.stdin.isTTY) return { [Symbol.dispose]: () => undefined };
  process.stdin.setRawMode(true);
  // Node leaves output processing on, which would turn a container's "\r\n" into "\r\r\n".
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  const restore = (): void => {
    process.off("SIGHUP", onHangUp);
    process.stdin.setRawMode(false);
  };
  const onHangUp = (): void => {
    restore();
    process.exit(129);
  };
  process.on("SIGHUP", onHangUp);
  return { [Symbol.dispose]: restore };
}

/** Calls `resize` with the terminal's size now and whenever it changes; a first failure is tried again, as the process may not run yet. */
export function followTerminalSize(resize: (rows: number, columns: number) => Promise<void>): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const send = (triesLeft: number): void => {
    const size = terminalSize();
    if (size === undefined) return;
    resize(size[0], size[1]).catch(() => {
      if (triesLeft > 0) timer = setTimeout(() => send(triesLeft - 1), 20);
    });
  };
  const onResize = (): void => send(0);
  send(10);
  process.stdout.on("resize", onResize);
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      process.stdout.off("resize", onResize);
    },
  };
}

const forwardable: readonly NodeJS.Signals[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGABRT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGTERM",
  "SIGCONT",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGWINCH",
  "SIGIO",
  "SIGPWR",
  "SIGSYS",
  "SIGTRAP",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
];

/**
 * Hands every signal that can be caught to `deliver`. With a terminal of the container's own, size changes and stopping
 * are the terminal's business and stay here.
 */
export function forwardSignals(tty: boolean, deliver: (signal: string) => Promise<void>): Disposable {
  const handlers = forwardable
    .filter((signal) => !(tty && ["SIGWINCH", "SIGCONT", "SIGTSTP", "SIGTTIN", "SIGTTOU"].includes(signal)))
    .map((signal) => {
      // A container that has ended cannot take a signal: nothing is lost.
      const handler = (): void => void deliver(signal).catch(() => undefined);
      process.on(signal, handler);
      return [signal, handler] as const;
    });
  return {
    [Symbol.dispose]: () => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}

/**
 * The bytes of a key sequence such as "ctrl-p,ctrl-q" or "ctrl-x,q".
 *
 * @throws Error a key that is none
 */
export function parseDetachKeys(text: string): Buffer {
  const codes = text.split(",").map((key) => {
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    const m = /^ctrl-([a-z@[\\\]^_])$/i.exec(key);
    if (m?.[1] === undefined) throw new Error(`Unknown character: '${key}'`);
    return m[1].toUpperCase().charCodeAt(0) - 64;
  });
  return Buffer.from(codes);
}

/** Looks for the detach keys in what the user types; the start of a sequence is held back until it is clear what it is. */
export class DetachFilter {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What goes on to the container, and whether the sequence was completed. */
  feed(chunk: Buffer): { readonly bytes: Buffer; readonly detached: boolean } {
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched]) {
        out.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) this.#matched += 1;
      else out.push(byte);
      if (this.#matched === this.#keys.length) return { bytes: Buffer.from(out), detached: true };
    }
    return { bytes: Buffer.from(out), detached: false };
  }
}

/** The sequence that a command asked for: its flag, the configuration file's `detachKeys`, or docker's ctrl-p,ctrl-q. */
export function detachKeysOf(flag: string, configDir: string): string {
  if (flag !== "") return flag;
  try {
    const config: unknown = JSON.parse(readFileSync(join(configDir, "config.json"), "utf8"));
    if (typeof config === "object" && config !== null && "detachKeys" in config) return String(config.detachKeys);
  } catch {
    // No configuration file, or one that is not JSON: the default holds.
  }
  return "";
}

/** @throws CliError a container's terminal needs one here too */
export function requireTerminal(attachStdin: boolean, tty: boolean): void {
  if (tty && attachStdin && !process.stdin.isTTY) throw new CliError("the input device is not a TTY");
}
