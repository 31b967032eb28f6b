// A TCP proxy on a loopback port of a network namespace, in front of a registry: it breaks connections, or makes them slow.

import { type ChildProcess, spawn } from "node:child_process";

export interface TcpProxyOptions {
  readonly netns: string;
  /** Port that it forwards to. */
  readonly port: number;
  /** A connection that has sent so many bytes is reset: the first number once, then the second, … */
  readonly cuts?: readonly number[];
  /** What clients send is held up to this rate. */
  readonly bytesPerSecond?: number;
}

const program = `
const net = require("node:net");
const { port, cuts = [], bytesPerSecond } = JSON.parse(process.argv[1]);
const server = net.createServer((client) => {
  const upstream = net.connect(port, "127.0.0.1");
  const end = () => { client.destroy(); upstream.destroy(); };
  for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
  upstream.pipe(client);
  let sent = 0;
  client.on("data", (chunk) => {
    sent += chunk.length;
    if (sent > cuts[0]) { cuts.shift(); client.resetAndDestroy(); upstream.destroy(); return; }
    const go = upstream.write(chunk);
    client.pause();
    const resume = () => client.resume();
    const wait = bytesPerSecond === undefined ? 0 : (chunk.length / bytesPerSecond) * 1000;
    if (go) setTimeout(resume, wait); else upstream.once("drain", () => setTimeout(resume, wait));
  });
  client.on("end", () => upstream.end());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
`;

/** Use it as `await using proxy = await TcpProxy.start(…)`. */
export class TcpProxy {
  readonly #process: ChildProcess;
  readonly port: number;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  static async start({ netns, ...options }: TcpProxyOptions): Promise<TcpProxy> {
    const command = [`--net=/run/netns/${netns}`, process.execPath, "-e", program, JSON.stringify(options)];
    const child = spawn("nsenter", command, { stdio: ["pipe", "pipe", "inherit"] });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the proxy ended with ${code}`)));
    child.stdout.on("data", (chunk: Buffer) => resolve(Number(chunk.toString())));
    return new TcpProxy(child, await promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = new Promise((resolve) => void this.#process.once("exit", resolve));
    this.#process.stdin?.end();
    await exited;
  }
}
