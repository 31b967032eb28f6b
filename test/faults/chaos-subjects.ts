// What the clients of the chaos test do with containers, and what the engine may say afterwards. A subject is one container
// under at most two names; an operation says where it leads, and where its container may be when it is cut off.

import assert from "node:assert/strict";
import { request } from "node:http";
import type { TestDaemon } from "../support/daemon.ts";
import { StdcopyDemuxer } from "../../src/client/stdcopy.ts";
import { anonymousTarget, namedTarget, type SubjectVolumes } from "./chaos-volumes.ts";

export type State = "absent" | "created" | "running" | "paused" | "exited";

/**
 * plain: runs until it is told to end. always, unless-stopped: likewise, and ends by itself when it is told through its FIFO.
 * ending: ends soon by itself. fleeting: likewise, and removes itself. logger: writes numbered lines and ends.
 */
export type Kind = "plain" | "always" | "unless-stopped" | "ending" | "fleeting" | "logger";

export interface Subject {
  readonly kind: Kind;
  readonly names: readonly [string, string];
  /** The names that it may have: two while a rename is in flight. */
  possibleNames: readonly string[];
  /** What the engine may say: one state when every operation was answered. */
  possible: ReadonlySet<State>;
}

export interface Operation {
  readonly verb: string;
  readonly to: State;
  /** Other states in which a cut may leave the container, besides the one before and `to`. */
  readonly between?: readonly State[];
  readonly renamesTo?: string;
  /** Resolves when it is answered as it must be. @throws AssertionError it was not; any other error: it was cut off */
  run(): Promise<State | undefined>;
}

export const endingCode = 7;
export const loggerCode = 4;
export const loggerLines = 1200;

/** What runs needs its named volume with what the image has in it. */
const needsVolume = `grep -q ^root: ${namedTarget}/passwd && [ -d ${anonymousTarget} ] || exit 99`;

const commands: Readonly<Record<Kind, string>> = {
  plain: "exec sleep 100000",
  // The exit code is not 0: on-failure and always come to the same, and a lost end would be seen.
  always: "mkfifo /end 2>/dev/null; read line </end; exit 3",
  "unless-stopped": "mkfifo /end 2>/dev/null; read line </end; exit 3",
  ending: `sleep 0.4; exit ${endingCode}`,
  fleeting: `sleep 0.3; exit ${endingCode}`,
  logger: [
    `i=0; while [ $i -lt ${loggerLines} ]; do`,
    "i=$((i+1)); echo line $i",
    "if [ $((i % 40)) = 0 ]; then sleep 0.05; fi",
    `done; exit ${loggerCode}`,
  ].join("\n"),
};

function configOf(kind: Kind, binds: readonly string[]): unknown {
  const policy = kind === "always" || kind === "unless-stopped" ? { RestartPolicy: { Name: kind } } : {};
  return {
    Image: "busybox",
    Cmd: ["sh", "-c", `${needsVolume}\n${commands[kind]}`],
    StopSignal: "SIGKILL",
    HostConfig: { ...policy, AutoRemove: kind === "fleeting", Binds: binds },
  };
}

/** The payloads of stdout in what came, complete frames or not. */
function stdoutOf(bytes: Buffer): string {
  const parts: Buffer[] = [];
  new StdcopyDemuxer((_, part) => void parts.push(part)).push(bytes);
  return Buffer.concat(parts).toString();
}

/** Lines 1 to n, each once and in order; a last line may be cut. Returns n. */
export function countLines(text: string, context: string): number {
  const lines = text.split("\n").slice(0, -1);
  lines.forEach((line, index) => assert.equal(line, `line ${index + 1}`, context));
  return lines.length;
}

/** Reads a stream until it ends, or hangs up after some time; what came. Rejects when there was no answer. */
function readSome(daemon: TestDaemon, method: string, path: string, hangUpAfterMs: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const req = request({ socketPath: daemon.socket, method, path, agent: false }, (res) => {
    const chunks: Buffer[] = [];
    if (res.statusCode !== 200) reject(new assert.AssertionError({ message: `${path}: ${res.statusCode}` }));
    res.on("data", (chunk: Buffer) => chunks.push(chunk));
    res.on("close", () => resolve(Buffer.concat(chunks)));
    res.on("error", () => {});
  });
  const timer = setTimeout(() => req.destroy(), hangUpAfterMs);
  req.on("error", (error) => reject(error));
  req.on("close", () => clearTimeout(timer));
  req.end();
  return promise;
}

interface Inspected {
  readonly RestartCount: number;
  readonly State: { readonly Status: string; readonly Pid: number };
}

export class Driver {
  readonly #daemon: TestDaemon;
  readonly #random: () => number;
  readonly #volumes: SubjectVolumes;

  constructor(daemon: TestDaemon, random: () => number, volumes: SubjectVolumes) {
    this.#daemon = daemon;
    this.#random = random;
    this.#volumes = volumes;
  }

  async #ok(verb: string, method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#daemon.api(method, path, body);
    assert.ok(answer.status < 300, `${verb} ${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  /** What can be done with a subject in a state, or with its volume. */
  operations(subject: Subject, state: State): readonly Operation[] {
    const at = `/containers/${subject.possibleNames[0]}`;
    const isEnding = state === "running" && ["ending", "fleeting", "logger"].includes(subject.kind);
    const withVolume = isEnding ? [] : this.#volumes.operations(subject, state, at, this.#random);
    const withContainer = this.#containerOperations(subject, state);
    // One in three is for the volume.
    return withVolume.length > 0 && this.#random() < 1 / 3 ? withVolume : withContainer;
  }

  #containerOperations(subject: Subject, state: State): readonly Operation[] {
    const [name = ""] = subject.possibleNames;
    const at = `/containers/${name}`;
    const simple = (
      verb: string,
      method: string,
      path: string,
      to: State,
      between: readonly State[] = [],
    ): Operation => ({
      verb,
      to,
      between,
      run: async () => void (await this.#ok(verb, method, path)),
    });
    const remove = simple(
      "remove",
      "DELETE",
      `${at}?force=1&v=1`,
      "absent",
      state === "absent" ? [] : ["exited", "running"],
    );
    const rename = this.#rename(subject, name, state);
    const endsItself = ["ending", "fleeting", "logger"].includes(subject.kind);
    switch (state) {
      case "absent":
        return [this.#create(subject, name)];
      case "created":
      case "exited": {
        // Its lines would be logged twice.
        const again = state === "created" || subject.kind !== "logger";
        const start = simple(
          "start",
          "POST",
          `${at}/start`,
          "running",
          subject.kind === "fleeting" ? ["absent"] : ["exited"],
        );
        return [...(again ? [start, start, rename] : []), simple("remove", "DELETE", `${at}?v=1`, "absent")];
      }
      case "paused":
        return [
          simple("unpause", "POST", `${at}/unpause`, "running"),
          remove,
          simple("kill", "POST", `${at}/kill`, "exited", ["running"]),
        ];
      case "running": {
        if (endsItself)
          return [this.#wait(subject, at), ...(subject.kind === "logger" ? [this.#follow(at), this.#follow(at)] : [])];
        const common = [
          simple("stop", "POST", `${at}/stop`, "exited"),
          simple("kill", "POST", `${at}/kill`, "exited"),
          simple("restart", "POST", `${at}/restart`, "running", ["exited"]),
          simple("pause", "POST", `${at}/pause`, "paused"),
          remove,
          rename,
          this.#exec(at),
          this.#exec(at),
          this.#attach(at),
        ];
        return subject.kind === "plain" ? common : [...common, this.#crash(at)];
      }
    }
  }

  #create(subject: Subject, name: string): Operation {
    return {
      verb: "create",
      to: "created",
      run: async () => {
        const config = configOf(subject.kind, this.#volumes.bindsOf(subject));
        await this.#volumes.creating(subject, () =>
          this.#ok("create", "POST", `/containers/create?name=${name}`, config),
        );
        return undefined;
      },
    };
  }

  #rename(subject: Subject, name: string, state: State): Operation {
    const other = subject.names.find((candidate) => candidate !== name) ?? "";
    return {
      verb: "rename",
      to: state,
      renamesTo: other,
      run: async () => void (await this.#ok("rename", "POST", `/containers/${name}/rename?name=${other}`)),
    };
  }

  /** Output and exit code of a short process, attached. */
  #exec(at: string): Operation {
    const word = `out-${Math.floor(this.#random() * 1e9)}`;
    return {
      verb: "exec",
      to: "running",
      run: async () => {
        const body = { Cmd: ["sh", "-c", `echo ${word}; exit 5`], AttachStdout: true, AttachStderr: true };
        const { Id } = (await this.#ok("exec", "POST", `${at}/exec`, body)) as { readonly Id: string };
        const answer = await this.#daemon.api("POST", `/exec/${Id}/start`, { Detach: false, Tty: false });
        // Asked before anything is judged: a daemon that was killed meanwhile has cut the output.
        const { ExitCode } = (await this.#ok("exec", "GET", `/exec/${Id}/json`)) as {
          readonly ExitCode: number | null;
        };
        assert.deepEqual([answer.status, stdoutOf(answer.bytes), ExitCode], [200, `${word}\n`, 5], `exec in ${at}`);
        return undefined;
      },
    };
  }

  /** A client that hangs up. */
  #attach(at: string): Operation {
    const forMs = this.#random() * 60;
    return {
      verb: "attach",
      to: "running",
      run: async () => {
        await readSome(this.#daemon, "POST", `${at}/attach?stream=1&stdout=1&stderr=1`, forMs).catch(
          (error: unknown) => {
            // Hung up before the answer: that is what was meant.
            if (error instanceof assert.AssertionError) throw error;
          },
        );
        await this.#ok("ping", "GET", "/_ping");
        return undefined;
      },
    };
  }

  /** Its end by itself, and the restart that the policy wants. */
  #crash(at: string): Operation {
    return {
      verb: "crash",
      to: "running",
      run: async () => {
        const before = await this.#inspect(at);
        const body = { Cmd: ["sh", "-c", "echo x >/end"] };
        const { Id } = (await this.#ok("crash", "POST", `${at}/exec`, body)) as { readonly Id: string };
        // The container may have ended by it before it is answered.
        const started = await this.#daemon.api("POST", `/exec/${Id}/start`, { Detach: true });
        assert.ok([200, 409].includes(started.status), `crash ${at}: ${started.status} ${started.text}`);
        const deadline = performance.now() + 60_000;
        for (;;) {
          const { State, RestartCount } = await this.#inspect(at);
          if (State.Status === "running" && State.Pid !== before.State.Pid) {
            assert.equal(RestartCount, before.RestartCount + 1, `${at}: restarts`);
            return undefined;
          }
          assert.ok(performance.now() < deadline, `${at} did not come back: ${JSON.stringify(State)}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      },
    };
  }

  async #inspect(at: string): Promise<Inspected> {
    return (await this.#ok("inspect", "GET", `${at}/json`)) as Inspected;
  }

  /** The end by itself: its code, and for a logger every line once. */
  #wait(subject: Subject, at: string): Operation {
    const { kind } = subject;
    const to = kind === "fleeting" ? "absent" : "exited";
    return {
      verb: "wait",
      to,
      run: async () => {
        const condition = kind === "fleeting" ? "removed" : "not-running";
        const answer = await this.#daemon.api("POST", `${at}/wait?condition=${condition}`);
        if (kind === "fleeting" && answer.status === 404) return undefined;
        assert.equal(answer.status, 200, `wait ${at}: ${answer.text}`);
        // A daemon that dies in the middle has sent the header, and nothing after it.
        if (answer.text === "") throw new Error("the wait was cut off");
        const code = (answer.json as { readonly StatusCode?: number } | undefined)?.StatusCode;
        assert.equal(code, kind === "logger" ? loggerCode : endingCode, `wait ${at}: ${answer.text}`);
        if (kind === "logger") {
          const logs = await this.#daemon.api("GET", `${at}/logs?stdout=1&stderr=1`);
          await this.#ok("ping", "GET", "/_ping");
          assert.equal(logs.status, 200, logs.text);
          assert.equal(countLines(stdoutOf(logs.bytes), `logs of ${at}`), loggerLines, `logs of ${at}`);
        }
        return undefined;
      },
    };
  }

  /** A follower that hangs up, or is cut off: a prefix without a gap. */
  #follow(at: string): Operation {
    const forMs = this.#random() * 400;
    return {
      verb: "follow",
      to: "running",
      between: ["exited"],
      run: async () => {
        const bytes = await readSome(this.#daemon, "GET", `${at}/logs?stdout=1&follow=1`, forMs).catch(
          (error: unknown) => {
            if (error instanceof assert.AssertionError) throw error;
            return Buffer.alloc(0);
          },
        );
        countLines(stdoutOf(bytes), `following ${at}`);
        await this.#ok("ping", "GET", "/_ping");
        return undefined;
      },
    };
  }

  /** What a subject that is there must say about itself, whatever happened. */
  async judge(subject: Subject, id: string, state: State): Promise<void> {
    const { kind } = subject;
    if (kind !== "ending" && kind !== "logger") return;
    const inspect = (await this.#ok("inspect", "GET", `/containers/${id}/json`)) as {
      readonly State: { readonly Status: string; readonly ExitCode: number; readonly Error: string };
    };
    if (state === "exited") {
      const { ExitCode, Error: reason } = inspect.State;
      assert.deepEqual([ExitCode, reason], [kind === "logger" ? loggerCode : endingCode, ""], `${kind} ${id}`);
    }
    if (kind !== "logger") return;
    const logs = await this.#daemon.api("GET", `/containers/${id}/logs?stdout=1`);
    const count = countLines(stdoutOf(logs.bytes), `logs of ${id}`);
    if (state === "exited") assert.equal(count, loggerLines, `logs of ${id}`);
  }
}
