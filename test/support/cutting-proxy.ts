// A TCP proxy in front of a registry on loopback that counts what comes back, and cuts or holds connections in the middle.

import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";

export class CuttingProxy implements AsyncDisposable {
  /** Bytes sent to clients, heads included. */
  received = 0;
  /** Each connection is cut after so many bytes from the registry; Infinity for never. */
  cutAfter = Infinity;
  /** How many connections to cut before letting them be. */
  cuts = Infinity;
  /** After so many bytes in all, nothing more goes through. */
  holdAfter = Infinity;
  /** Resolves when `holdAfter` is reached. */
  readonly held: Promise<void>;
  readonly #hold = Promise.withResolvers<void>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.held = this.#hold.promise;
    this.#server = createServer((client) => this.#serve(client, connect(port, "127.0.0.1")));
  }

  static async start(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port);
    await new Promise<void>((resolve) => void proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket, registry: Socket): void {
    let passed = 0;
    for (const [one, other] of [
      [client, registry],
      [registry, client],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => undefined);
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(registry);
    registry.on("data", (chunk: Buffer) => {
      passed += chunk.length;
      if (passed > this.cutAfter && this.cuts > 0) {
        this.cuts--;
        const rest = chunk.subarray(0, Math.max(0, chunk.length - (passed - this.cutAfter)));
        this.received += rest.length;
        client.end(rest);
        registry.destroy();
        return;
      }
      if (this.received + chunk.length > this.holdAfter) {
        registry.pause();
        this.#hold.resolve();
        return;
      }
      this.received += chunk.length;
      if (!client.write(chunk)) {
        registry.pause();
        client.once("drain", () => registry.resume());
      }
    });
    registry.on("end", () => client.end());
  }
}
