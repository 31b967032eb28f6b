// What a command is, and how it ends. Each command is a file under commands/ that exports `command: Command`; the table of
// them is registry.ts; main.ts parses, checks the number of arguments, runs.

import type { Flags, FlagSpec } from "../../base/flags.ts";
import type { Client } from "../../client/client.ts";

/** A command's outside: everything that help and parsing need. */
export interface Command {
  /** After "Usage:  gantry <path>", e.g. "[OPTIONS] CONTAINER [CONTAINER...]". */
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** False for commands whose flags end at the first argument (run, exec, top). */
  readonly interspersed?: boolean;
  readonly args: { readonly min: number; readonly max: number };
  /** Resolves with the exit code, 0 when nothing is returned. Throws what exitOf() in main.ts understands. */
  run(context: CommandContext, flags: Flags): Promise<number | undefined>;
}

/** Where a command reads, writes and finds the daemon. */
export interface CommandContext {
  /** "gantry container ls": how the command was called, without its arguments. */
  readonly path: string;
  readonly client: Client;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory of client configuration files. */
  readonly configDir: string;
  /** `-D` was given. */
  readonly debug: boolean;
  /** Writes to stdout; resolves when the bytes are taken. A closed pipe ends the program quietly. */
  readonly out: (text: string | Buffer) => Promise<void>;
  readonly err: (text: string | Buffer) => void;
  /** As `out`, to stderr. */
  readonly errDrained: (text: string | Buffer) => Promise<void>;
}

/** Ends the program with a message on stderr. `hint` adds docker's "Run '… --help' for more information". */
export class CliError extends Error {
  readonly exitCode: number;
  readonly hint: boolean;
  constructor(message: string, options: { readonly exitCode?: number; readonly hint?: boolean } = {}) {
    super(message);
    this.name = "CliError";
    this.exitCode = options.exitCode ?? 1;
    this.hint = options.hint ?? false;
  }
}

/** Several failures of one command, a line each. */
export class JoinedError extends CliError {
  constructor(messages: readonly string[]) {
    super(messages.join("\n"));
  }
}
