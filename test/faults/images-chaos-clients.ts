// The clients of images-chaos.test.ts: each has names of its own and works on images that it shares with the others. What was
// acknowledged is kept as a model: of every name, the image ids that it may have now.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { TestDaemon } from "../support/daemon.ts";
import { configOf, dockerArchive, sha256 } from "../support/image-archives.ts";
import type { PushedImage, TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";

/** "" for a name that is not there; "any" for an image whose id is the engine's affair. */
type Id = string;

interface Loadable {
  readonly id: string;
  readonly archive: Buffer;
}

/** The same bytes for the same name, and such as do not compress away. */
function noise(name: string, size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, n) =>
    createHash("sha256").update(`${name}${n}`).digest(),
  );
  return Buffer.concat(blocks);
}

const layers = Array.from({ length: 5 }, (_, n) => tarOf(file(`f${n}`, noise(`layer ${n}`, 150_000 * (1 + (n % 3))))));
/** Layers of each image: chains that share their beginnings, and layers that are in several chains. */
const chains: readonly (readonly number[])[] = [
  [0, 1],
  [0, 1, 2],
  [0, 3],
  [4, 1],
];

function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

function tarsOf(chain: readonly number[]): Buffer[] {
  return chain.map((n) => layers[n] as Buffer);
}

/** Puts the images where each client pulls from. Returns their ids. */
export async function fillRegistry(registry: TestRegistry, clients: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const [n, chain] of chains.entries()) {
    let pushed: PushedImage | undefined;
    for (let client = 0; client < clients; client++)
      pushed = await registry.pushImage(`pull${client}`, String(n), { layers: tarsOf(chain).map((tar) => ({ tar })) });
    ids.push(pushed?.config.digest ?? "");
  }
  return ids;
}

export class ChaosClient {
  readonly #daemon: TestDaemon;
  readonly #registry: TestRegistry;
  readonly #client: number;
  readonly #pullable: readonly string[];
  readonly #loadable: readonly Loadable[];
  readonly #possible = new Map<string, ReadonlySet<Id>>();
  #running = "";

  constructor(daemon: TestDaemon, registry: TestRegistry, client: number, pullable: readonly string[]) {
    this.#daemon = daemon;
    this.#registry = registry;
    this.#client = client;
    this.#pullable = pullable;
    this.#loadable = chains.map((chain, n) => {
      const config = configOf(tarsOf(chain), { comment: "loaded" });
      const archive = dockerArchive([{ config, layers: tarsOf(chain), tags: [`load${client}:${n}`] }]);
      return { id: `sha256:${sha256(config)}`, archive };
    });
  }

  /** What it was at when it was cut off. */
  get running(): string {
    return this.#running;
  }

  /** One operation; says which. @throws AssertionError a wrong answer; any other error: it was cut off */
  async step(random: () => number): Promise<string> {
    const verbs = ["pull", "pull", "load", "rmi", "rmi", "tag", "push", "save", "commit", "prune", "create"] as const;
    const verb = pick(random, verbs);
    this.#running = verb;
    await this[verb](random);
    return verb;
  }

  async pull(random: () => number): Promise<void> {
    const n = Math.floor(random() * this.#pullable.length);
    const repository = `${this.#registry.address}/pull${this.#client}`;
    const id = this.#pullable[n] ?? "";
    await this.#change(`${repository}:${n}`, id, () =>
      this.#stream("POST", `/images/create?fromImage=${repository}&tag=${n}`, /"Status: /),
    );
  }

  async load(random: () => number): Promise<void> {
    const n = Math.floor(random() * this.#loadable.length);
    const { id = "", archive } = this.#loadable[n] ?? {};
    await this.#change(`load${this.#client}:${n}`, id, () =>
      this.#stream("POST", "/images/load?quiet=1", /Loaded image/, archive),
    );
  }

  async rmi(random: () => number): Promise<void> {
    const name = this.#any(random);
    if (name === undefined) return;
    await this.#change(name, "", () => this.#ok("DELETE", `/images/${name}`));
  }

  async tag(random: () => number): Promise<void> {
    const name = this.#any(random);
    const to = pick(random, ["1", "2"]);
    if (name === undefined) return;
    const [id = ""] = this.#possible.get(name) ?? [];
    await this.#change(`tag${this.#client}:${to}`, id, () =>
      this.#ok("POST", `/images/${name}/tag?repo=tag${this.#client}&tag=${to}`),
    );
  }

  async push(random: () => number): Promise<void> {
    const name = this.#any(random);
    if (name === undefined) return;
    const repository = `${this.#registry.address}/push${this.#client}`;
    const [id = ""] = this.#possible.get(name) ?? [];
    await this.#change(`${repository}:1`, id, () => this.#ok("POST", `/images/${name}/tag?repo=${repository}&tag=1`));
    await this.#stream("POST", `/images/${repository}/push?tag=1`, /"aux"/);
  }

  async save(random: () => number): Promise<void> {
    const name = this.#any(random);
    if (name === undefined) return;
    const { bytes } = await this.#ok("GET", `/images/${name}/get`);
    // Whole, or the connection was closed.
    if (tarEnds(bytes)) verifyArchive(bytes);
    else await this.#cutOrWrong(`save of ${name}: ${bytes.length} bytes`);
  }

  async commit(): Promise<void> {
    await this.#change(`commit${this.#client}:1`, "any", () =>
      this.#ok("POST", `/commit?container=chaos&repo=commit${this.#client}&tag=1`),
    );
  }

  async prune(): Promise<void> {
    const answer = await this.#daemon.api("POST", "/images/prune");
    // One at a time.
    assert.ok([200, 409].includes(answer.status), answer.text);
  }

  /** A container keeps its image in use for a moment. */
  async create(random: () => number): Promise<void> {
    const name = this.#any(random);
    if (name === undefined) return;
    await this.#ok("POST", `/containers/create?name=${this.#container}`, { Image: name, Cmd: ["/x"] });
    await this.#ok("DELETE", `/containers/${this.#container}`);
  }

  /** After a restart: each name is what it may be. */
  async compare(context: () => string): Promise<void> {
    const left = await this.#daemon.api("DELETE", `/containers/${this.#container}`);
    assert.ok([204, 404].includes(left.status), `${left.text}; ${context()}`);
    for (const [name, possible] of this.#possible) {
      const answer = await this.#daemon.api("GET", `/images/${name}/json`);
      assert.ok([200, 404].includes(answer.status), `${name}: ${answer.text}; ${context()}`);
      const id = answer.status === 404 ? "" : (answer.json as { readonly Id: string }).Id;
      const expected = possible.has(id) || (id !== "" && possible.has("any"));
      assert.ok(expected, `${name} is ${id}, should be ${[...possible].join(" or ")}; ${context()}`);
      this.#possible.set(name, new Set([id]));
    }
  }

  /** Takes all names away. */
  async clear(): Promise<void> {
    for (const [name, possible] of this.#possible)
      if (!possible.has("")) await this.#change(name, "", () => this.#ok("DELETE", `/images/${name}`));
  }

  get #container(): string {
    return `chaos-${this.#client}`;
  }

  #any(random: () => number): string | undefined {
    const there = [...this.#possible].filter(([, possible]) => !possible.has("")).map(([name]) => name);
    return there.length === 0 ? undefined : pick(random, there);
  }

  async #change(name: string, id: Id, operation: () => Promise<unknown>): Promise<void> {
    const before = this.#possible.get(name) ?? new Set([""]);
    this.#possible.set(name, new Set([...before, id]));
    await operation();
    this.#possible.set(name, new Set([id]));
  }

  async #ok(method: string, path: string, body?: unknown): Promise<Awaited<ReturnType<TestDaemon["api"]>>> {
    const answer = await this.#daemon.api(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text.slice(0, 2000)}`);
    return answer;
  }

  /** A stream whose last line tells that it is done. */
  async #stream(method: string, path: string, done: RegExp, body?: unknown): Promise<void> {
    const { text } = await this.#ok(method, path, body);
    if (text.includes('"error"')) assert.fail(`${method} ${path}: ${text.slice(-2000)}`);
    if (!done.test(text)) await this.#cutOrWrong(`${method} ${path}: ${text.slice(-2000)}`);
  }

  /** An answer that ends too early is wrong of a daemon that still runs. @throws always */
  async #cutOrWrong(what: string): Promise<never> {
    await this.#daemon.api("GET", "/_ping");
    assert.fail(what);
  }
}

function tarEnds(bytes: Buffer): boolean {
  return bytes.length >= 1024 && bytes.length % 512 === 0 && bytes.subarray(-1024).every((byte) => byte === 0);
}

/** Every blob has the digest that it is called by, and every layer the digest that its config says. */
export function verifyArchive(bytes: Buffer): void {
  const members = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const name =
      bytes
        .subarray(at, at + 100)
        .toString("latin1")
        .split("\0", 1)[0] ?? "";
    const size = Number.parseInt(bytes.subarray(at + 124, at + 136).toString("latin1"), 8);
    members.set(name, bytes.subarray(at + 512, at + 512 + size));
    at += 512 + 512 * Math.ceil(size / 512);
  }
  for (const [name, data] of members) {
    const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
    if (hex !== undefined) assert.equal(sha256(data), hex, name);
  }
  const read = (name: string): unknown => JSON.parse(members.get(name)?.toString() ?? "null");
  const images = read("manifest.json") as readonly { readonly Config: string; readonly Layers: readonly string[] }[];
  assert.ok(images.length > 0, [...members.keys()].join(" "));
  for (const { Config, Layers } of images) {
    const { rootfs } = read(Config) as { readonly rootfs: { readonly diff_ids: readonly string[] } };
    assert.deepEqual(
      Layers.map((layer) => `sha256:${sha256(members.get(layer) ?? "")}`),
      rootfs.diff_ids,
    );
  }
}
