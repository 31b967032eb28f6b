// COPY and ADD: one file op per instruction, or with --link one that stands alone and a merge.

import type { Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { type CopyInstruction, expandHeredoc } from "../dockerfile/index.ts";
import { expandIn, type LanguageFacts } from "./config-instructions.ts";
import type { Emitter } from "./emitter.ts";
import type { FileAction, FileOp } from "./index.ts";
import { destinationPath, hasWildcard, rooted } from "./paths.ts";
import { showWords } from "./raw-expand.ts";
import { remoteSource } from "./remote-source.ts";
import type { StageState } from "./stage-state.ts";
import { isChmod } from "./chmod.ts";

/** The tree that paths are read of. */
export interface CopySource {
  readonly result: Digest | undefined;
  /** What the paths of the Dockerfile are below. */
  readonly prefix: string;
  /** Notes that a path is read. */
  read(path: string): void;
}

/** @throws InvalidParameter what BuildKit refuses, in its words */
export function lowerCopy(
  state: StageState,
  instruction: CopyInstruction,
  source: () => CopySource,
  emitter: Emitter,
  facts: LanguageFacts,
  step: { readonly isOnBuild: boolean; readonly withPlatform: boolean },
): Digest {
  const expand = (word: string): string => expandIn(state, word, instruction, facts);
  const words = instruction.sources.map((one) => (one.kind === "path" ? expand(one.path) : ""));
  const destinationWord = expand(instruction.destination);
  const destination = destinationPath(state.workdir, destinationWord);
  const chown = instruction.chown === undefined ? undefined : expand(instruction.chown);
  const chmod = instruction.chmod === undefined ? undefined : expand(instruction.chmod);
  const checksum = instruction.checksum === undefined ? undefined : expand(instruction.checksum);
  if (chmod !== undefined && !isChmod(chmod))
    throw new EngineError(
      "InvalidParameter",
      `invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`,
    );
  const exclude = instruction.exclude.map(expand);
  const name = state.prefix(
    upperFirst(showWords(instruction.original, state.lookup, facts.escape)),
    step.withPlatform,
    step.isOnBuild,
  );
  const ranges = [instruction.range];
  const { ignoreCache } = state.node;
  const standsAlone = instruction.link || state.result === undefined;
  const inputs: Digest[] = standsAlone || state.result === undefined ? [] : [state.result];
  const inputOf = (digest: Digest): number => {
    const at = inputs.indexOf(digest, standsAlone ? 0 : 1);
    return at === -1 ? inputs.push(digest) - 1 : at;
  };
  const common = {
    action: "copy",
    destination,
    exclude,
    ownership: { chown, chmod },
  } as const;
  const actions: FileAction[] = [];
  const line: string[] = [instruction.kind.toUpperCase()];
  if (instruction.parents) line.push("--parents");
  if (chown !== undefined) line.push(`--chown=${chown}`);
  if (chmod !== undefined) line.push(`--chmod=${chmod}`);
  let remotes = 0;
  for (const [index, one] of instruction.sources.entries()) {
    if (one.kind === "heredoc") continue;
    const word = words[index] ?? "";
    line.push(word);
    const remote = remoteSource(word, instruction, checksum);
    if (remote !== undefined) {
      remotes++;
      const isFile = remote.kind === "http";
      actions.push({
        ...common,
        input: inputOf(emitter.add(remote, [], name, ranges)),
        source: isFile ? `/${remote.filename}` : "/",
        allowWildcard: false,
        required: true,
        parents: false,
        followLinks: false,
        unpack: isFile && instruction.unpack === true ? "archives" : "never",
      });
      continue;
    }
    const tree = source();
    const path = sourcePath(word, instruction.parents, tree.prefix);
    tree.read(path.replace("/./", "/"));
    const unpacks = instruction.unpack ?? instruction.kind === "add";
    actions.push({
      ...common,
      input: inputOf(tree.result ?? emitter.emptyTree()),
      source: path,
      allowWildcard: true,
      required: !hasWildcard(path),
      parents: instruction.parents,
      followLinks: true,
      unpack: unpacks ? "archives" : "never",
    });
  }
  if (checksum !== undefined) checkChecksum(instruction, remotes);
  for (const one of instruction.sources) {
    if (one.kind !== "heredoc") continue;
    const { heredoc } = one;
    line.push(`<<${heredoc.name}`);
    const content = heredoc.expand ? heredocText(state, instruction, heredoc.content, facts) : heredoc.content;
    const path = rooted(heredoc.name);
    const document: FileOp = {
      kind: "file",
      hasBase: false,
      actions: [{ action: "mkfile", path, mode: 0o644, content, ownership: { chown: undefined, chmod: undefined } }],
    };
    actions.push({
      ...common,
      input: inputOf(emitter.add(document, [], "[internal] preparing inline document", ranges)),
      source: path,
      allowWildcard: false,
      required: true,
      parents: false,
      followLinks: false,
      unpack: "never",
    });
  }
  line.push(destinationWord);
  const op: FileOp = { kind: "file", actions, hasBase: !standsAlone };
  let result = emitter.add(op, inputs, name, ranges, ignoreCache);
  if (instruction.link && state.result !== undefined)
    result = emitter.add(
      { kind: "merge" },
      [state.result, result],
      name.replace(/^(\[[^\]]*\] (?:ONBUILD )?)/, "$1LINK "),
      ranges,
      ignoreCache,
    );
  state.result = result;
  state.directory = undefined;
  state.commit(`${line.join(" ")} # buildkit`, result);
  return result;
}

function heredocText(state: StageState, instruction: CopyInstruction, content: string, facts: LanguageFacts): string {
  const { text, unset } = expandHeredoc(content, state.lookup);
  for (const name of unset) facts.onUnset(name, instruction, state);
  return text;
}

function checkChecksum(instruction: CopyInstruction, remotes: number): void {
  const refuse = (message: string): never => {
    throw new EngineError("InvalidParameter", message);
  };
  if (instruction.kind !== "add") refuse("checksum can't be specified for COPY");
  if (instruction.sources.length !== 1) refuse("checksum can't be specified for multiple sources");
  if (remotes !== 1) refuse("checksum requires HTTP(S) or Git sources");
}

/** With --parents the pivot "/./" stays in it; a prefix is in front of it. */
function sourcePath(word: string, parents: boolean, prefix: string): string {
  const pivot = parents ? word.indexOf("/./") : -1;
  if (pivot === -1) {
    const path = rooted(word);
    const root = rooted(prefix);
    return parents && root !== "/" ? `${root}/.${path}` : rooted(root, path);
  }
  const head = rooted(prefix, rooted(word.slice(0, pivot)));
  return `${head === "/" ? "" : head}/.${rooted(word.slice(pivot + 3))}`;
}

/** The instruction's name in capitals, as progress shows it. */
export function upperFirst(text: string): string {
  const at = text.indexOf(" ");
  return at === -1 ? text.toUpperCase() : text.slice(0, at).toUpperCase() + text.slice(at);
}
