// The volumes of the chaos test's subjects: each has a named one, with what the image has at its place and a file of the clients', and an
// anonymous one. The model says what may be in them; what is in them is read on the host, past the engine.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestDaemon } from "../support/daemon.ts";
import { file, tarOf } from "../support/tar.ts";
import type { Operation, State, Subject } from "./chaos-subjects.ts";

/** Where containers have them; the embedded image has the files of the first, and nothing of the second. */
export const namedTarget = "/etc";
export const anonymousTarget = "/anonymous";
const filledWith = ["group", "passwd", "shadow"];
const wordFile = "word";
const snapshotNames = ["s0", "s1"] as const;

interface Content {
  /** What the image has is in it: all of it, or nothing. */
  readonly isFilled: boolean;
  /** What the clients wrote; "" for nothing, undefined where a write was cut. */
  readonly word: string | undefined;
}

/** What one volume may be. Everything is one thing when every operation was answered. */
interface Model {
  there: readonly boolean[];
  content: readonly Content[];
  readonly snapshots: Map<string, { readonly there: readonly boolean[]; readonly content: Content }>;
}

const empty: Content = { isFilled: false, word: "" };

export class SubjectVolumes {
  readonly #daemon: TestDaemon;
  readonly #models = new Map<Subject, Model>();

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  nameOf(subject: Subject): string {
    return `${subject.names[0]}-data`;
  }

  /** What a container's creation adds to its configuration. */
  bindsOf(subject: Subject): readonly string[] {
    return [`${this.nameOf(subject)}:${namedTarget}`, anonymousTarget];
  }

  #model(subject: Subject): Model {
    const known = this.#models.get(subject);
    if (known !== undefined) return known;
    const model: Model = { there: [false], content: [empty], snapshots: new Map() };
    this.#models.set(subject, model);
    return model;
  }

  async #ok(method: string, path: string, body?: unknown): Promise<{ readonly text: string }> {
    const answer = await this.#daemon.api(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer;
  }

  /** Around the creation of a subject's container, which makes and fills its volumes. */
  async creating(subject: Subject, create: () => Promise<unknown>): Promise<void> {
    const model = this.#model(subject);
    const [content = empty] = model.content;
    const filled = isEmpty(content) ? { ...content, isFilled: true } : content;
    model.there = [...new Set([...model.there, true])];
    model.content = [content, filled];
    await create();
    model.there = [true];
    model.content = [filled];
  }

  /** What can be done with a subject's volume; its container is in `state`, at `at` of the API. */
  operations(subject: Subject, state: State, at: string, random: () => number): readonly Operation[] {
    const model = this.#model(subject);
    const volume = this.nameOf(subject);
    const operation = (verb: string, run: () => Promise<unknown>): Operation => ({
      verb,
      to: state,
      run: async () => {
        await run();
        return undefined;
      },
    });
    const [there] = model.there;
    const [content = empty] = model.content;
    if (there !== true) return [operation("volume create", () => this.#make(model, volume))];
    const pick = snapshotNames[Math.floor(random() * snapshotNames.length)] ?? "s0";
    const kept = model.snapshots.get(pick);
    // Containers look for what the image has: a snapshot without it would end them.
    const isKeepable = kept === undefined && content.isFilled;
    const history = [
      ...(isKeepable ? [operation("snapshot", () => this.#snapshot(model, volume, pick, content))] : []),
      ...(kept === undefined
        ? []
        : [
            operation("restore", () => this.#restore(model, volume, pick, content, kept.content)),
            operation("snapshot rm", () => this.#forget(model, volume, pick, kept.content)),
          ]),
    ];
    if (state === "absent") return [operation("volume rm", () => this.#remove(model, volume)), ...history];
    const word = `word-${Math.floor(random() * 1e9)}`;
    return [
      operation("volume rm refused", () => this.refused(volume)),
      operation("cp in", () => this.#write(model, at, content, word)),
      operation("cp out", () => this.#read(at, content)),
      ...history,
    ];
  }

  async #make(model: Model, volume: string): Promise<void> {
    model.there = [false, true];
    model.content = [empty];
    await this.#ok("POST", "/volumes/create", { Name: volume });
    model.there = [true];
  }

  async #remove(model: Model, volume: string): Promise<void> {
    model.there = [true, false];
    for (const [name, { content }] of model.snapshots) model.snapshots.set(name, { there: [true, false], content });
    await this.#ok("DELETE", `/volumes/${volume}${model.snapshots.size > 0 ? "?force=1" : ""}`);
    gone(model);
  }

  async refused(volume: string): Promise<void> {
    const { status, text } = await this.#daemon.api("DELETE", `/volumes/${volume}`);
    assert.equal(status, 409, `rm of ${volume}, which a container has: ${status} ${text}`);
  }

  async #snapshot(model: Model, volume: string, name: string, content: Content): Promise<void> {
    model.snapshots.set(name, { there: [false, true], content });
    await this.#ok("POST", `/volumes/${volume}/snapshots`, { Name: name });
    model.snapshots.set(name, { there: [true], content });
  }

  async #forget(model: Model, volume: string, name: string, content: Content): Promise<void> {
    model.snapshots.set(name, { there: [true, false], content });
    await this.#ok("DELETE", `/volumes/${volume}/snapshots/${name}`);
    model.snapshots.delete(name);
  }

  async #restore(model: Model, volume: string, name: string, before: Content, after: Content): Promise<void> {
    model.content = [before, after];
    await this.#ok("POST", `/volumes/${volume}/restore?snapshot=${name}&discard=1`);
    model.content = [after];
  }

  async #write(model: Model, at: string, content: Content, word: string): Promise<void> {
    model.content = [{ ...content, word: undefined }];
    await this.#ok("PUT", `${at}/archive?path=${namedTarget}`, tarOf(file(wordFile, word)));
    model.content = [{ ...content, word }];
  }

  async #read(at: string, { word }: Content): Promise<void> {
    const { status, text } = await this.#daemon.api("GET", `${at}/archive?path=${namedTarget}/${wordFile}`);
    if (word === undefined) return;
    // A stream that was cut off ends the request with an error; this is an answer.
    if (word === "") assert.equal(status, 404, `there is no word in ${at}: ${text}`);
    else assert.ok(status === 200 && text.includes(word), `the word of ${at} is ${word}: ${status} ${text}`);
  }

  /** When nothing is under way: every volume is what it may be, and is that from now on. */
  async compare(subjects: readonly Subject[], isThere: (subject: Subject) => boolean): Promise<void> {
    const { text } = await this.#ok("GET", "/volumes");
    const { Volumes } = JSON.parse(text) as { readonly Volumes: readonly { readonly Name: string }[] };
    const names = new Set(Volumes.map(({ Name }) => Name));
    for (const subject of subjects) {
      const model = this.#model(subject);
      const volume = this.nameOf(subject);
      const there = names.has(volume);
      const may = `${volume}: ${JSON.stringify(model)}`;
      assert.ok(model.there.includes(there), `${may}, is ${there ? "" : "not "}there`);
      assert.ok(there || !isThere(subject), `${may}: its container has lost it`);
      if (!there) {
        gone(model);
        continue;
      }
      const content = this.#contentOf(volume);
      const fits = model.content.some(
        ({ isFilled, word }) => isFilled === content.isFilled && (word === undefined || word === content.word),
      );
      assert.ok(fits, `${may}, has ${JSON.stringify(content)}`);
      assert.ok(content.isFilled || !isThere(subject), `${may}: was not filled`);
      model.there = [true];
      model.content = [content];
      await this.#compareSnapshots(model, volume, may);
    }
  }

  async #compareSnapshots(model: Model, volume: string, may: string): Promise<void> {
    const { text } = await this.#ok("GET", `/volumes/${volume}/snapshots`);
    const names = (JSON.parse(text) as readonly { readonly Name: string }[]).map(({ Name }) => Name);
    for (const name of snapshotNames) {
      const known = model.snapshots.get(name);
      assert.ok((known?.there ?? [false]).includes(names.includes(name)), `${may}, has snapshots ${names.join(", ")}`);
      if (known === undefined) continue;
      if (names.includes(name)) model.snapshots.set(name, { ...known, there: [true] });
      else model.snapshots.delete(name);
    }
    assert.ok(
      names.every((name) => model.snapshots.has(name)),
      `${may}, has snapshots ${names.join(", ")}`,
    );
  }

  /** As it is on the host's disk. @throws AssertionError it is filled by halves */
  #contentOf(volume: string): Content {
    const data = join(this.#daemon.dataRoot, "volumes", volume, "_data");
    const entries = readdirSync(data);
    const found = filledWith.filter((name) => entries.includes(name));
    assert.ok(found.length === 0 || found.length === filledWith.length, `${volume} has ${entries.join(", ")}`);
    assert.deepEqual(
      entries.filter((name) => name.startsWith(".gantry")),
      [],
      volume,
    );
    return {
      isFilled: found.length > 0,
      word: entries.includes(wordFile) ? readFileSync(join(data, wordFile), "utf8") : "",
    };
  }

  /** Anonymous volumes are those of containers, a name for each, and what is on disk is what is known; "" when it is so. */
  async difference(
    subjects: readonly Subject[],
    containers: readonly { readonly Id: string; readonly Mounts: readonly { readonly Name?: string }[] }[],
  ): Promise<string> {
    const named = new Set(subjects.map((subject) => this.nameOf(subject)));
    const { text } = await this.#ok("GET", "/volumes");
    const { Volumes } = JSON.parse(text) as { readonly Volumes: readonly { readonly Name: string }[] };
    const names = Volumes.map(({ Name }) => Name);
    const anonymous = names.filter((name) => !named.has(name)).toSorted();
    const owned = containers.flatMap(({ Mounts }) =>
      Mounts.flatMap(({ Name = "" }) => (named.has(Name) ? [] : [Name])),
    );
    const onDisk = readdirSync(join(this.#daemon.dataRoot, "volumes")).toSorted();
    return [
      ...(String(anonymous) === String(owned.toSorted())
        ? []
        : [`anonymous volumes ${anonymous.join(", ")}; containers have ${owned.join(", ")}`]),
      ...(owned.length === containers.length ? [] : ["not every container has an anonymous volume"]),
      ...(String(onDisk) === String(names.toSorted()) ? [] : [`directories ${onDisk.join(", ")}; ${names.join(", ")}`]),
    ].join("\n");
  }

  /** Those that a container has are refused; of the others, some are removed. */
  async countUsers(
    subjects: readonly Subject[],
    isThere: (subject: Subject) => boolean,
    random: () => number,
  ): Promise<void> {
    for (const subject of subjects) {
      const model = this.#model(subject);
      const volume = this.nameOf(subject);
      if (isThere(subject)) await this.refused(volume);
      else if (model.there[0] === true && random() < 0.3) await this.#remove(model, volume);
    }
  }
}

function gone(model: Model): void {
  model.there = [false];
  model.content = [empty];
  model.snapshots.clear();
}

function isEmpty({ isFilled, word }: Content): boolean {
  return !isFilled && word === "";
}
