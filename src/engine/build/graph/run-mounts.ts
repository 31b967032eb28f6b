// RUN --mount: options → what the step gets, with BuildKit's defaults for targets, ids, modes and sharing.

import type { Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { parseRamBytes } from "../../../base/units.ts";
import { expandRunMount, type RunInstruction, type RunMount } from "../dockerfile/index.ts";
import type { LanguageFacts } from "./config-instructions.ts";
import type { CopySource } from "./copy.ts";
import type { Emitter } from "./emitter.ts";
import type { StepMount } from "./index.ts";
import { absolutePath, baseName, rooted } from "./paths.ts";
import type { StageState } from "./stage-state.ts";

/** Inputs of the step behind its root, and its mounts. */
export interface LoweredMounts {
  readonly mounts: readonly StepMount[];
  readonly inputs: readonly Digest[];
}

function refuse(message: string): never {
  throw new EngineError("InvalidParameter", message);
}

function number(text: string | undefined, what: string, base: 8 | 10): number | undefined {
  if (text === undefined || text === "") return undefined;
  const digits = base === 8 ? /^[0-7]{1,7}$/ : /^\d{1,10}$/;
  if (!digits.test(text)) refuse(`invalid value ${text} for ${what}`);
  return Number.parseInt(text, base);
}

/** @throws InvalidParameter a target that is the root, a number that is none */
export function lowerMounts(
  state: StageState,
  instruction: RunInstruction,
  sourceOf: (mount: number) => CopySource,
  firstInput: number,
  emitter: Emitter,
  facts: LanguageFacts,
): LoweredMounts {
  const inputs: Digest[] = [];
  const inputOf = (digest: Digest): number => {
    const at = inputs.indexOf(digest);
    return firstInput + (at === -1 ? inputs.push(digest) - 1 : at);
  };
  let agents = 0;
  const mounts = instruction.mounts.map((written, index): StepMount => {
    const mount = expandRunMount(written, instruction, state.lookup, facts.escape);
    const { target, source, id } = mount;
    const ids = {
      uid: number(mount.uid, "uid", 10),
      gid: number(mount.gid, "gid", 10),
      mode: number(mount.mode, "mode", 8),
    };
    switch (mount.type) {
      case "secret":
        return secret(mount, id, source, target, mount.env, ids);
      case "ssh":
        return {
          type: "ssh",
          id: id ?? source ?? "default",
          target: target === undefined ? `/run/buildkit/ssh_agent.${agents++}` : absolutePath(state.workdir, target),
          required: mount.required ?? false,
          mode: ids.mode ?? 0o600,
          uid: ids.uid ?? 0,
          gid: ids.gid ?? 0,
        };
      case "tmpfs": {
        const { size } = mount;
        return {
          type: "tmpfs",
          target: mountTarget(state, target),
          sizeBytes: size === undefined ? undefined : parseRamBytes(size),
        };
      }
      case "cache": {
        const whole = mountTarget(state, target);
        const tree = mount.from === undefined || mount.from === "" ? undefined : sourceOf(index);
        const path = rooted(tree?.prefix ?? "", rooted(source ?? ""));
        tree?.read(path);
        const name = id ?? rooted(target ?? "");
        const namespace = emitter.options.cacheMountNamespace;
        return {
          type: "cache",
          id: namespace === "" ? name : `${namespace}/${name}`,
          target: whole,
          sharing: mount.sharing ?? "shared",
          readonly: mount.readonly ?? false,
          input: tree?.result === undefined ? undefined : inputOf(tree.result),
          source: path,
          mode: ids.mode ?? 0o755,
          uid: ids.uid ?? 0,
          gid: ids.gid ?? 0,
        };
      }
      case "bind": {
        const whole = mountTarget(state, target);
        const tree = sourceOf(index);
        const path = rooted(tree.prefix, rooted(source ?? ""));
        tree.read(path);
        return {
          type: "bind",
          input: inputOf(tree.result ?? emitter.emptyTree()),
          source: path,
          target: whole,
          readonly: mount.readonly ?? true,
        };
      }
    }
  });
  return { mounts, inputs };
}

function mountTarget(state: StageState, target: string | undefined): string {
  const whole = absolutePath(state.workdir, target ?? "");
  if (whole === "/") refuse(`invalid mount target ${JSON.stringify(whole)}`);
  return whole;
}

function secret(
  mount: RunMount,
  id: string | undefined,
  source: string | undefined,
  target: string | undefined,
  env: string | undefined,
  ids: { readonly uid: number | undefined; readonly gid: number | undefined; readonly mode: number | undefined },
): StepMount {
  const name = source ?? id ?? (target === undefined ? "" : baseName(target));
  if (name === "") refuse("one of source, target required");
  const path = target ?? (env === undefined ? `/run/secrets/${baseName(name)}` : undefined);
  return {
    type: "secret",
    id: name,
    target: path === undefined ? undefined : rooted(path),
    env,
    required: mount.required ?? false,
    mode: ids.mode ?? 0o400,
    uid: ids.uid ?? 0,
    gid: ids.gid ?? 0,
  };
}
