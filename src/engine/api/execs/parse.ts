// Requests about execs: unknown → typed, or InvalidParameter in dockerd's words.

import { EngineError } from "../../../base/errors.ts";
import { readObject } from "../body.ts";
import { parseDetachKeys } from "../detach-keys.ts";
import type { Exchange } from "../exchange.ts";
import type { CreateExecRequest } from "../ports.ts";
import { bool, list, object, string, tuple, uint } from "../schema.ts";

const strings = list(string());

const createSchema = object("container.ExecOptions", {
  User: string(),
  Privileged: bool,
  Tty: bool,
  ConsoleSize: tuple(uint, 2),
  AttachStdin: bool,
  AttachStderr: bool,
  AttachStdout: bool,
  DetachKeys: string(),
  Env: strings,
  WorkingDir: string(),
  Cmd: strings,
});

const startSchema = object("container.ExecStartOptions", { Detach: bool, Tty: bool, ConsoleSize: tuple(uint, 2) });

interface CreateBody {
  readonly User?: string;
  readonly Privileged?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly number[];
  readonly AttachStdin?: boolean;
  readonly AttachStderr?: boolean;
  readonly AttachStdout?: boolean;
  readonly DetachKeys?: string;
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Cmd?: readonly string[];
}

export interface StartExecRequest {
  readonly detach: boolean;
  readonly tty: boolean;
  readonly consoleSize: readonly [number, number] | undefined;
}

/** @throws InvalidParameter no command, or detach keys that are none */
export async function parseCreateExec(exchange: Exchange): Promise<CreateExecRequest> {
  const body = (await readObject(exchange, createSchema, "ExecOptions", "allowed")) as CreateBody;
  const { Cmd = [], DetachKeys = "" } = body;
  if (Cmd.length === 0) throw new EngineError("InvalidParameter", "No exec command specified");
  if (DetachKeys !== "") checkDetachKeys(DetachKeys);
  return {
    attachStdin: body.AttachStdin ?? false,
    attachStdout: body.AttachStdout ?? false,
    attachStderr: body.AttachStderr ?? false,
    tty: body.Tty ?? false,
    cmd: Cmd,
    env: body.Env ?? [],
    user: body.User ?? "",
    workingDir: body.WorkingDir ?? "",
    privileged: body.Privileged ?? false,
    detachKeys: DetachKeys === "" ? undefined : DetachKeys,
    consoleSize: parseConsoleSize(body.ConsoleSize, exchange.minor),
  };
}

/** @throws InvalidParameter dockerd has other words for it here than where the keys are used */
function checkDetachKeys(text: string): void {
  try {
    parseDetachKeys(text);
  } catch (cause) {
    throw new EngineError("InvalidParameter", `Invalid escape keys (${text.slice(0, 256)}) provided`, { cause });
  }
}

export async function parseStartExec(exchange: Exchange): Promise<StartExecRequest> {
  const body = (await readObject(exchange, startSchema, "ExecStartOptions", "allowed")) as {
    readonly Detach?: boolean;
    readonly Tty?: boolean;
    readonly ConsoleSize?: readonly number[];
  };
  return {
    detach: body.Detach ?? false,
    tty: body.Tty ?? false,
    consoleSize: parseConsoleSize(body.ConsoleSize, exchange.minor),
  };
}

/** [height, width]; API before 1.42 has no such field, and 0 × 0 is none. */
function parseConsoleSize(size: readonly number[] | undefined, minor: number): readonly [number, number] | undefined {
  const [height = 0, width = 0] = size ?? [];
  return minor < 42 || (height === 0 && width === 0) ? undefined : [height, width];
}
