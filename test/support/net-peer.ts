// A peer of a test in another network namespace: a Node process that serves and connects there (net-peer-process.ts).

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Requests by name. Times in ms; hosts are addresses. */
export interface PeerRequest {
  readonly serveTcp: {
    readonly host: string;
    readonly port: number;
    /** tell: "<client's address> <own address>\n". digest: size and SHA-256 of what came, after the client's end. */
    readonly does: "echo" | "tell" | "reset" | "swallow" | "digest";
  };
  /** Answers "<client's address> <message>". */
  readonly serveUdp: { readonly host: string; readonly port: number };
  readonly tcp: {
    readonly host: string;
    readonly port: number;
    readonly send: string;
    readonly localAddress?: string;
    readonly timeoutMs: number;
  };
  readonly udp: {
    readonly host: string;
    readonly port: number;
    readonly send: string;
    /** Own port; 0 for any. */
    readonly localPort: number;
    readonly timeoutMs: number;
  };
  readonly bulk: { readonly host: string; readonly port: number; readonly bytes: number };
  readonly hold: { readonly host: string; readonly port: number; readonly count: number; readonly send: string };
  readonly holding: { readonly drop: "none" | "close" | "reset" };
  readonly fill: { readonly host: string; readonly port: number };
}

export interface PeerCall {
  readonly tag: number;
  readonly name: string;
  readonly request: unknown;
}

/** `error` is an errno's name, "TIMEOUT", or "". */
export interface TcpResult {
  readonly text: string;
  readonly error: string;
}

export interface UdpResult extends TcpResult {
  readonly from: string;
}

type Answer = { readonly tag: number; readonly result?: unknown; readonly error?: string };

export class NetPeer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #tag = 0;

  /** @param namespace path: /run/netns/NAME, or /proc/PID/ns/net */
  constructor(namespace: string) {
    const argv = [`--net=${namespace}`, process.execPath, join(import.meta.dirname, "net-peer-process.ts")];
    this.#child = spawn("nsenter", argv, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", (message: unknown) => {
      const { tag, result, error } = message as Answer;
      const waiting = this.#waiting.get(tag);
      this.#waiting.delete(tag);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(Object.assign(new Error(error), { code: error }));
    });
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the peer has ended"));
    });
  }

  #call(name: string, request: unknown): Promise<unknown> {
    const tag = ++this.#tag;
    return new Promise((resolve, reject) => {
      this.#waiting.set(tag, { resolve, reject });
      this.#child.send({ tag, name, request } satisfies PeerCall);
    });
  }

  async serveTcp(host: string, port: number, does: PeerRequest["serveTcp"]["does"] = "echo"): Promise<void> {
    await this.#call("serveTcp", { host, port, does });
  }

  async serveUdp(host: string, port: number): Promise<void> {
    await this.#call("serveUdp", { host, port });
  }

  async tcp(host: string, port: number, send = "", localAddress?: string, timeoutMs = 3000): Promise<TcpResult> {
    return (await this.#call("tcp", { host, port, send, localAddress, timeoutMs })) as TcpResult;
  }

  async udp(host: string, port: number, send: string, timeoutMs = 1000, localPort = 0): Promise<UdpResult> {
    return (await this.#call("udp", { host, port, send, localPort, timeoutMs })) as UdpResult;
  }

  async bulk(host: string, port: number, bytes: number): Promise<{ readonly got: string; readonly sent: string }> {
    return (await this.#call("bulk", { host, port, bytes })) as { got: string; sent: string };
  }

  async hold(host: string, port: number, count: number, send = ""): Promise<number> {
    return (await this.#call("hold", { host, port, count, send })) as number;
  }

  async holding(drop: PeerRequest["holding"]["drop"] = "none"): Promise<number> {
    return (await this.#call("holding", { drop })) as number;
  }

  async fill(host: string, port: number): Promise<number> {
    return (await this.#call("fill", { host, port })) as number;
  }

  /** Closes its servers and connections; the peer stays. */
  async closeAll(): Promise<void> {
    await this.#call("close", {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}
