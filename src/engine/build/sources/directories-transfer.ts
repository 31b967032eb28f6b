// One transfer: what a client tells is compared with the tree kept from before, and the tree becomes that.
//
//   comparing ──nothing differs──► the kept tree, held
//       │ the first difference that has to be done
//       ▼ lock of the key; compared again if another transfer was faster
//   changing: the kept tree where nobody else holds it, else a clone, else a new one
//       │ finish                         │ disposed before
//       ▼                                ▼
//   sealed, current, held            sealed with what is complete, current: the next transfer sends the rest

import { EngineError, errnoOf } from "../../../base/errors.ts";
import { checkTreePath, parentOf } from "../../../filesync/index.ts";
import type { KeptTree } from "./directories-tree.ts";
import type { DirectoryTransfer, SourceDirectory, SourceEntry } from "./index.ts";
import { TreeWriter, turn, type EntryInit, type IncomingFile } from "./tree-writer.ts";

/** What a client may tell at most: entries, and bytes of their names, links and attributes. */
const maxEntries = 600_000;
const maxNameBytes = 128 * 1024 * 1024;
/** PATH_MAX without the terminator. Source: limits.h. */
const maxLinkBytes = 4095;
const entriesPerTurn = 256;

/** What the directories offer to their transfers. */
export interface TransferStore {
  /** Of a path in a tree. */
  readonly maxPathBytes: number;
  /** The tree of the key, held; undefined when there is none now. */
  current(key: string): { readonly tree: KeptTree; readonly held: SourceDirectory } | undefined;
  /** Whether the tree is that key's own, and not of another part of the directory. */
  isOf(tree: KeptTree, key: string): boolean;
  hold(tree: KeptTree): SourceDirectory;
  lock(key: string, signal: AbortSignal): Promise<Disposable>;
  /** A new, empty tree. */
  create(key: string): KeptTree;
  /** The tree is not current any more and may change. */
  take(tree: KeptTree): void;
  publish(key: string, tree: KeptTree, entries: readonly SourceEntry[]): void;
  discard(tree: KeptTree): void;
}

/** same: as kept. put: done without content. wanted: its content is still to come. done: it came. */
interface Told {
  readonly entry: EntryInit;
  state: "same" | "put" | "wanted" | "done";
  incoming: IncomingFile | undefined;
}

interface Changing {
  readonly tree: KeptTree;
  readonly writer: TreeWriter;
  readonly lock: Disposable | undefined;
}

export class Transfer implements DirectoryTransfer {
  readonly #store: TransferStore;
  readonly #key: string;
  readonly #signal: AbortSignal;
  readonly #told = new Map<string, Told>();
  #base: { readonly tree: KeptTree; readonly held: SourceDirectory } | undefined;
  #known: ReadonlyMap<string, SourceEntry>;
  #changing: Changing | undefined;
  #starting: Promise<void> | undefined;
  /** Entries that are still to be done on disk, in order. */
  #queue: Told[] = [];
  /** Those that need others to be there first. */
  #late: Told[] = [];
  #nameBytes = 0;
  #isOver = false;
  readonly #done = Promise.resolve();

  constructor(store: TransferStore, key: string, signal: AbortSignal) {
    this.#store = store;
    this.#key = key;
    this.#signal = signal;
    this.#base = store.current(key);
    this.#known = mapOf(this.#base?.held.entries ?? []);
  }

  known(path: string): SourceEntry | undefined {
    return this.#known.get(path);
  }

  entry(entry: EntryInit): boolean {
    if (this.#isOver) throw new EngineError("Conflict", "the transfer is over");
    if (entry.type === "socket") return false;
    const { path, linkName } = entry;
    checkTreePath(path, this.#store.maxPathBytes);
    if (this.#told.has(path)) throw refused(path, "it comes twice");
    const parent = parentOf(path);
    if (parent !== "" && this.#told.get(parent)?.entry.type !== "directory")
      throw refused(path, "its directory did not come before it");
    this.#nameBytes += path.length + linkName.length + sizeOf(entry.xattrs);
    if (this.#told.size >= maxEntries || this.#nameBytes > maxNameBytes)
      throw new EngineError("InvalidParameter", `the build context has more than ${this.#told.size} files`);
    checkEntry(entry);
    if (entry.type === "file" && linkName !== "") {
      const target = this.#told.get(linkName)?.entry;
      if (target?.type !== "file" || target.linkName !== "")
        throw refused(path, `it is a link to ${linkName.slice(0, 100)}, which is no file that came before`);
    }
    const told: Told = { entry, state: "wanted", incoming: undefined };
    this.#told.set(path, told);
    this.#judge(told);
    return told.state === "wanted";
  }

  async settle(): Promise<readonly string[]> {
    if (this.#changing === undefined && this.#differs()) await this.#change(true);
    const wanted: string[] = [];
    for (const [path, { state }] of this.#told) if (state === "wanted") wanted.push(path);
    return wanted;
  }

  write(path: string, chunk: Uint8Array): Promise<void> {
    const told = this.#told.get(path);
    if (told?.state !== "wanted") throw refused(path, "its content is not wanted");
    const writer = this.#ready();
    if (writer === undefined) return this.#change(false).then(() => this.write(path, chunk));
    told.incoming ??= writer.begin(told.entry);
    return guarded(() => writer.write(told.incoming as IncomingFile, chunk)) ?? this.#done;
  }

  end(path: string): Promise<void> {
    const told = this.#told.get(path);
    if (told?.state !== "wanted") throw refused(path, "its content is not wanted");
    const writer = this.#ready();
    if (writer === undefined) return this.#change(false).then(() => this.end(path));
    told.incoming ??= writer.begin(told.entry);
    const ending = guarded(() => writer.end(told.incoming as IncomingFile));
    const finished = (): void => {
      told.state = "done";
      told.incoming = undefined;
    };
    if (ending !== undefined) return ending.then(finished);
    finished();
    return this.#done;
  }

  async finish(): Promise<SourceDirectory> {
    const [missing] = await this.settle();
    if (missing !== undefined) throw refused(missing, "its content did not come");
    this.#signal.throwIfAborted();
    if (this.#changing !== undefined) return this.#finishChange(this.#changing);
    const base = this.#base;
    if (base === undefined) throw new EngineError("Conflict", "the transfer is over");
    this.#isOver = true;
    this.#base = undefined;
    base.tree.markUsed();
    return base.held;
  }

  async #finishChange({ tree, writer }: Changing): Promise<SourceDirectory> {
    await this.#flush(writer);
    for (const { entry } of this.#late)
      if (entry.type === "file") guarded(() => writer.putLink(entry));
      else await writer.putSpecial(entry, this.#signal);
    this.#late = [];
    await writer.prune((path) => this.#told.has(path), this.#signal);
    const held = this.#conclude(tree, writer);
    tree.markUsed();
    await this.#letGo();
    return held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#starting?.catch(() => {});
    const changing = this.#changing;
    try {
      if (changing === undefined) return;
      try {
        for (const { incoming } of this.#told.values())
          if (incoming !== undefined) await changing.writer.abandon(incoming);
        if (this.#key === "") this.#store.discard(changing.tree);
        else await this.#conclude(changing.tree, changing.writer)[Symbol.asyncDispose]();
      } catch {
        // Whatever is wrong with it (a full disk), nobody needs it.
        this.#store.discard(changing.tree);
      }
    } finally {
      await this.#letGo();
    }
  }

  /** The tree is what the next one begins with. */
  #conclude(tree: KeptTree, writer: TreeWriter): SourceDirectory {
    return guarded(() => {
      this.#store.publish(this.#key, tree, writer.complete());
      return this.#store.hold(tree);
    });
  }

  async #letGo(): Promise<void> {
    this.#isOver = true;
    const base = this.#base;
    const lock = this.#changing?.lock;
    this.#base = undefined;
    await base?.held[Symbol.asyncDispose]();
    lock?.[Symbol.dispose]();
  }

  /** Decides what has to be done for an entry. */
  #judge(told: Told): void {
    const { entry } = told;
    const known = this.#known.get(entry.path);
    const isLink = entry.type === "file" && entry.linkName !== "";
    const sameTarget = !isLink || this.#told.get(entry.linkName)?.state === "same";
    if (known !== undefined && sameTarget && isSame(known, entry)) {
      told.state = "same";
      return;
    }
    if (entry.type === "file" && !isLink && entry.size > 0) {
      told.state = "wanted";
      return;
    }
    told.state = "put";
    if (isLink || entry.type === "fifo" || entry.type === "char" || entry.type === "block") this.#late.push(told);
    else this.#queue.push(told);
  }

  /** Whether the tree that comes out is another than the one kept. */
  #differs(): boolean {
    if (this.#base === undefined) return true;
    if (this.#told.size !== this.#known.size) return true;
    for (const { state } of this.#told.values()) if (state !== "same") return true;
    return false;
  }

  /** The writer, if everything that was told before is done. */
  #ready(): TreeWriter | undefined {
    return this.#changing !== undefined && this.#queue.length === 0 ? this.#changing.writer : undefined;
  }

  /**
   * Everything that was told so far is done on disk, but for content and links.
   *
   * @param isSettling no content came yet: what was told may be compared again, and nothing may be left to change
   */
  async #change(isSettling: boolean): Promise<void> {
    this.#starting ??= this.#start(isSettling);
    await this.#starting;
    if (this.#changing === undefined) this.#starting = undefined;
    else await this.#flush(this.#changing.writer);
  }

  async #start(isSettling: boolean): Promise<void> {
    const lock = this.#key === "" ? undefined : await this.#store.lock(this.#key, this.#signal);
    try {
      if (isSettling) await this.#compareAgain();
      if (isSettling && !this.#differs()) lock?.[Symbol.dispose]();
      else this.#changing = { ...(await this.#open()), lock };
    } catch (error) {
      lock?.[Symbol.dispose]();
      throw error;
    }
  }

  async #open(): Promise<{ readonly tree: KeptTree; readonly writer: TreeWriter }> {
    if (this.#base === undefined) {
      const tree = this.#store.create(this.#key);
      return { tree, writer: new TreeWriter(tree.path, []) };
    }
    const { tree: base, held } = this.#base;
    if (base.isCurrent && base.holds === 1 && this.#store.isOf(base, this.#key)) {
      this.#store.take(base);
      return { tree: base, writer: new TreeWriter(base.path, held.entries) };
    }
    const tree = this.#store.create(this.#key);
    const writer = new TreeWriter(tree.path, held.entries);
    try {
      await writer.clone(base.path, this.#signal);
    } catch (error) {
      this.#store.discard(tree);
      throw error;
    }
    return { tree, writer };
  }

  /** Another transfer may have brought a newer tree. */
  async #compareAgain(): Promise<void> {
    const base = this.#store.current(this.#key);
    if (base?.tree === this.#base?.tree) {
      await base?.held[Symbol.asyncDispose]();
      return;
    }
    await this.#base?.held[Symbol.asyncDispose]();
    this.#base = base;
    this.#known = mapOf(base?.held.entries ?? []);
    this.#queue = [];
    this.#late = [];
    for (const told of this.#told.values()) this.#judge(told);
  }

  async #flush(writer: TreeWriter): Promise<void> {
    let count = 0;
    for (const { entry } of this.#queue) {
      guarded(() => writer.put(entry));
      if (++count % entriesPerTurn === 0) await turn(this.#signal);
    }
    this.#queue = [];
  }
}

function mapOf(entries: readonly SourceEntry[]): ReadonlyMap<string, SourceEntry> {
  return new Map(entries.map((entry) => [entry.path, entry]));
}

/** A directory's time is not compared: it changes with every file that comes and goes. */
function isSame(known: SourceEntry, entry: EntryInit): boolean {
  return (
    known.type === entry.type &&
    known.mode === entry.mode &&
    known.uid === entry.uid &&
    known.gid === entry.gid &&
    (entry.type === "directory" || known.mtimeNs === entry.mtimeNs) &&
    (entry.type !== "file" || entry.linkName !== "" || known.size === entry.size) &&
    known.linkName === entry.linkName &&
    known.device?.major === entry.device?.major &&
    known.device?.minor === entry.device?.minor &&
    isSameAttributes(known.xattrs, entry.xattrs)
  );
}

function isSameAttributes(a: SourceEntry["xattrs"], b: SourceEntry["xattrs"]): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => b[name] !== undefined && Buffer.compare(a[name] ?? Buffer.alloc(0), b[name]) === 0)
  );
}

function sizeOf(xattrs: SourceEntry["xattrs"]): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(xattrs)) bytes += name.length + value.length;
  return bytes;
}

function checkEntry({ path, type, mode, size, linkName }: EntryInit): void {
  if (!Number.isSafeInteger(size) || size < 0) throw refused(path, "its size is none");
  if ((mode & ~0o7777) !== 0) throw refused(path, "its mode is none");
  if (linkName.includes("\0")) throw refused(path, "its link has a NUL");
  if (type === "symlink" && (linkName === "" || Buffer.byteLength(linkName) > maxLinkBytes))
    throw refused(path, "its link is none");
  if (type !== "symlink" && type !== "file" && linkName !== "") throw refused(path, "only files have further names");
}

function refused(path: string, why: string): EngineError {
  const name = path.length <= 100 ? path : `${path.slice(0, 100)}…`;
  return new EngineError("InvalidParameter", `${JSON.stringify(name)} in the build context is refused: ${why}`);
}

/** Says what was being done when the disk refuses. */
function guarded<T>(work: () => T): T {
  try {
    const result = work();
    return result instanceof Promise ? (result.catch((error: unknown) => fail(error)) as T) : result;
  } catch (error) {
    return fail(error);
  }
}

function fail(error: unknown): never {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  throw new EngineError("System", `cannot keep the build context: ${errno}`, { cause: error });
}
