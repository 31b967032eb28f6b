// The nft tables at work. One nft at a time, in order; what is written comes from the state at that moment. Shims add and remove
// elements beside it: what changed while whole tables were being replaced is settled right afterwards.

import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../base/errors.ts";
import { run, tryRun } from "../../kernel/run.ts";
import { renderElement } from "./elements.ts";
import type { Firewall, FirewallDeps, FirewallElement, FirewallNetwork, FirewallState } from "./index.ts";
import {
  type Listing,
  type Written,
  compareElements,
  compareListing,
  parseElements,
  parseForeignDrops,
  parseListing,
  writtenParts,
} from "./listing.ts";
import { networkRules } from "./network-rules.ts";
import {
  chainsOf,
  planTables,
  renderAddElements,
  renderAddNetwork,
  renderDeleteElements,
  renderPlan,
  renderRemoveNetwork,
  stateElements,
  userTable,
} from "./render.ts";

/** Several changes of somebody's are one look. */
const debounceMs = 100;

/** After a replacement, until every shim that was ending meanwhile has been heard of: its elements were written once more. */
const settleAfterMs = [200, 1000, 3000, 10_000];

/** For comparing: without counters, and protocols by number, whatever /etc/protocols is or becomes. */
const steady = ["-s", "-p"] as const;

/** Networks that are ahead of the state, or behind it, before it is looked at again only to forget them. */
const maxAhead = 64;

/** A finding counts when it is there twice: containers come and go meanwhile. */
const secondLookMs = 500;

class NftFirewall implements Firewall {
  readonly #deps: FirewallDeps;
  readonly #timers = new Set<NodeJS.Timeout>();
  #tail: Promise<unknown> = Promise.resolve();
  #look: NodeJS.Timeout | undefined;
  #closed = false;
  #warned = false;
  /** undefined: never written. */
  #written: Map<string, readonly string[] | undefined> | undefined;
  #seen = new Map<string, string>();
  /** Elements that the last replacement wrote, by key; those of containers that have ended are taken out later. */
  #included = new Map<string, FirewallElement>();
  /** Ahead of the state: networks that are about to be in it, and to leave it. */
  readonly #added = new Map<string, FirewallNetwork>();
  readonly #removed = new Set<string>();

  constructor(deps: FirewallDeps) {
    this.#deps = deps;
  }

  #inOrder<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(act);
    this.#tail = result.catch(() => {});
    return result;
  }

  #state(): FirewallState {
    const state = this.#deps.state();
    const known = new Set<string>(state.networks.map(({ id }) => id));
    for (const id of this.#added.keys()) if (known.has(id)) this.#added.delete(id);
    for (const id of this.#removed) if (!known.has(id)) this.#removed.delete(id);
    if (this.#added.size === 0 && this.#removed.size === 0) return state;
    const networks = [...state.networks, ...this.#added.values()].filter(({ id }) => !this.#removed.has(id));
    return { ...state, networks };
  }

  replace(): Promise<void> {
    return this.#inOrder(() => this.#replace());
  }

  async #replace(): Promise<void> {
    const plan = planTables(this.#state());
    await run(["nft", "-f", "-"], { input: renderPlan(plan) });
    this.#written = new Map(writtenParts(plan));
    this.#seen = new Map();
    this.#included = new Map(plan.own);
    await this.#ensureUserTable();
    await this.#addLate();
    for (const delayMs of settleAfterMs) this.#later(delayMs, () => this.#inOrder(() => this.#settle()));
    // A start does not wait for another nft.
    this.#inOrder(() => this.#adopt().then(() => this.#warn())).catch((error: unknown) =>
      this.#deps.logger.warn("cannot list the engine's nft tables", { error: messageOf(error) }),
    );
  }

  /** Once: what of the host is in the containers' way. */
  async #warn(): Promise<void> {
    if (this.#warned) return;
    this.#warned = true;
    const { stdout } = await tryRun(["nft", "list", "chains"]);
    for (const advice of parseForeignDrops(stdout)) this.#deps.logger.warn(advice);
  }

  /** Learns how nft words what was just written. */
  async #adopt(): Promise<void> {
    if (this.#written === undefined) return;
    const listing = await this.#listing();
    if (typeof listing === "string") return;
    const complaints = compareListing(listing, this.#written, this.#seen);
    if (complaints.length === 0) return;
    // Writing the same again would not change it, and be noticed again.
    this.#deps.logger.error("nft does not list the tables as they were written", {
      what: complaints.slice(0, 5).join("; "),
    });
    for (const name of this.#written.keys()) {
      const text = listing.get(name);
      if (text !== undefined) this.#seen.set(name, text);
    }
  }

  /** Exists already, in most cases: nothing of it is looked at. */
  async #ensureUserTable(): Promise<void> {
    const { exitCode, stderr } = await tryRun(["nft", "-f", "-"], { input: userTable });
    if (exitCode !== 0 && !stderr.includes("File exists"))
      this.#deps.logger.warn("cannot make the administrators' table inet gantry-user", { error: stderr.trim() });
  }

  /** Elements that shims added to the old tables after the state was read. */
  async #addLate(): Promise<void> {
    const late = [...stateElements(this.#state())].filter(([key]) => !this.#included.has(key));
    if (late.length === 0) return;
    for (const [key, element] of late) this.#included.set(key, element);
    await this.#elements(
      late.map(([, element]) => element),
      renderAddElements,
    );
  }

  /** Takes out what the replacement wrote of containers that have ended since. */
  async #settle(): Promise<void> {
    if (this.#included.size === 0) return;
    const now = stateElements(this.#state());
    const gone = [...this.#included].filter(([key, element]) => !isSame(now.get(key), element));
    if (gone.length === 0) return;
    for (const [key] of gone) this.#included.delete(key);
    await this.#elements(
      gone.map(([, element]) => element),
      renderDeleteElements,
    );
    const instead = gone.flatMap(([key]) => now.get(key) ?? []);
    if (instead.length > 0) await this.#elements(instead, renderAddElements);
  }

  /** In one transaction; one by one where that fails, because a table or an address may be somebody else's by now. */
  async #elements(
    elements: readonly FirewallElement[],
    render: (elements: readonly FirewallElement[]) => string,
  ): Promise<void> {
    const { exitCode } = await tryRun(["nft", "-f", "-"], { input: render(elements) });
    if (exitCode === 0 || elements.length === 1) return;
    for (const element of elements) await tryRun(["nft", "-f", "-"], { input: render([element]) });
  }

  addNetwork(network: FirewallNetwork): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#added.size + this.#removed.size > maxAhead) this.#state();
      const input = renderAddNetwork(network);
      this.#removed.delete(network.id);
      this.#added.set(network.id, network);
      try {
        const { exitCode } = await tryRun(["nft", "-f", "-"], { input });
        if (exitCode !== 0 || this.#written === undefined) return await this.#replace();
      } catch (error) {
        this.#added.delete(network.id);
        throw error;
      }
      for (const { family, chains } of chainsOf(network))
        for (const { name, rules } of chains) {
          this.#written.set(
            `${family} ${name}`,
            rules.map(({ comment }) => comment),
          );
          this.#seen.delete(`${family} ${name}`);
        }
    });
  }

  removeNetwork(network: FirewallNetwork): Promise<void> {
    return this.#inOrder(async () => {
      const { chains } = networkRules(network);
      this.#added.delete(network.id);
      this.#removed.add(network.id);
      const { exitCode } = await tryRun(["nft", "-f", "-"], { input: renderRemoveNetwork(network) });
      if (exitCode !== 0 || this.#written === undefined) return this.#replace();
      for (const { name } of chains) {
        this.#written.delete(`inet ${name}`);
        this.#seen.delete(`inet ${name}`);
      }
    });
  }

  rulesChanged(): void {
    if (this.#look !== undefined || this.#closed) return;
    this.#look = this.#later(debounceMs, () => {
      this.#look = undefined;
      return this.#inOrder(() => this.#mend());
    });
  }

  async #mend(): Promise<void> {
    const { logger } = this.#deps;
    const written = this.#written;
    if (written === undefined || this.#closed) return;
    const complaints = await this.#compare(written);
    if (complaints.length === 0) return;
    logger.warn("somebody changed the engine's nft tables: writing them anew", {
      what: complaints.slice(0, 5).join("; "),
    });
    await this.#replace();
  }

  /** Both tables without their elements, or why not. */
  async #listing(): Promise<Listing | string> {
    const inet = await tryRun(["nft", ...steady, "-t", "list", "table", "inet", "gantry"]);
    if (inet.exitCode !== 0) return "the table inet gantry is missing";
    const bridge = await tryRun(["nft", ...steady, "-t", "list", "table", "bridge", "gantry"]);
    if (bridge.exitCode !== 0) return "the table bridge gantry is missing";
    return parseListing(inet.stdout + bridge.stdout);
  }

  async #compare(written: Written): Promise<readonly string[]> {
    const listing = await this.#listing();
    return typeof listing === "string" ? [listing] : compareListing(listing, written, this.#seen);
  }

  list(): Promise<string> {
    return this.#inOrder(() => listTables([]));
  }

  async check(): Promise<readonly string[]> {
    const first = await this.#inOrder(() => this.#check());
    if (first.length === 0) return first;
    await sleep(secondLookMs);
    const second = new Set(await this.#inOrder(() => this.#check()));
    return first.filter((complaint) => second.has(complaint));
  }

  async #check(): Promise<readonly string[]> {
    if (this.#written === undefined) return ["the tables were never written"];
    const complaints = await this.#compare(this.#written);
    if (complaints.length > 0) return complaints;
    const found = parseElements(parseListing(await listTables(steady)));
    return compareElements(found, planTables(this.#state()).elements);
  }

  async advise(): Promise<readonly string[]> {
    const { exitCode, stdout } = await this.#inOrder(() => tryRun(["nft", "list", "chains"]));
    return exitCode === 0 ? parseForeignDrops(stdout) : [];
  }

  /** A failure is logged: nobody waits for it. */
  #later(delayMs: number, act: () => Promise<void>): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act().catch((error: unknown) =>
        this.#deps.logger.error("cannot mend the engine's nft tables", { error: messageOf(error) }),
      );
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
    return timer;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await this.#tail;
  }
}

/** @throws System a table is missing */
async function listTables(options: readonly string[]): Promise<string> {
  const inet = await run(["nft", ...options, "list", "table", "inet", "gantry"]);
  const bridge = await run(["nft", ...options, "list", "table", "bridge", "gantry"]);
  return inet + bridge;
}

function isSame(a: FirewallElement | undefined, b: FirewallElement): boolean {
  return a !== undefined && renderElement(a) === renderElement(b);
}

export function createFirewall(deps: FirewallDeps): Firewall {
  return new NftFirewall(deps);
}
