// The chaos test's client of images: one is tagged and untagged, another loaded and deleted, while the daemon is killed.

import assert from "node:assert/strict";
import type { TestDaemon } from "../support/daemon.ts";
import { configOf, dockerArchive } from "../support/image-archives.ts";
import { file, tarOf } from "../support/tar.ts";

const tag = "chaos-tag:1";
const loaded = "chaos-loaded:1";

export class ImageClient {
  readonly #daemon: TestDaemon;
  readonly #archive: Buffer;
  /** Whether each tag is there; both while an operation on it is in flight. */
  readonly #possible = new Map<string, ReadonlySet<boolean>>([
    [tag, new Set([false])],
    [loaded, new Set([false])],
  ]);

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
    const layers = [tarOf(file("a", "a".repeat(300_000))), tarOf(file("b", "b"))];
    this.#archive = dockerArchive([{ config: configOf(layers), layers, tags: [loaded] }]);
  }

  /** One operation. @throws AssertionError a wrong answer; any other error: it was cut off */
  async step(random: () => number): Promise<void> {
    const name = random() < 0.5 ? tag : loaded;
    const [there] = this.#possible.get(name) ?? [];
    this.#possible.set(name, new Set([true, false]));
    if (there === true) await this.#ok("DELETE", `/images/${name}`);
    else if (name === tag) await this.#ok("POST", "/images/busybox/tag?repo=chaos-tag&tag=1");
    else await this.#ok("POST", "/images/load?quiet=1", this.#archive);
    this.#possible.set(name, new Set([there !== true]));
  }

  async #ok(method: string, path: string, body?: Uint8Array): Promise<void> {
    const answer = await this.#daemon.api(method, path, body);
    // A load that is cut has sent its header; only its last line tells that it is done.
    if (body !== undefined && answer.status === 200 && !answer.text.includes("Loaded image")) {
      await this.#daemon.api("GET", "/_ping");
      assert.fail(`load: ${answer.text}`);
    }
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  }

  /** After a restart: what is there is what may be there. */
  async compare(context: () => string): Promise<void> {
    const answer = await this.#daemon.api("GET", "/images/json");
    assert.equal(answer.status, 200, answer.text);
    const images = answer.json as readonly { readonly RepoTags: readonly string[] | null }[];
    const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
    for (const [name, possible] of this.#possible) {
      const count = tags.filter((one) => one === name).length;
      assert.ok(count <= 1 && possible.has(count === 1), `${name} is there ${count} times; ${context()}`);
      this.#possible.set(name, new Set([count === 1]));
    }
    assert.ok(tags.includes("busybox:latest"), context());
  }
}
