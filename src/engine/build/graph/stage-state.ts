// What a stage is while its instructions are lowered: its tree so far, the image's configuration, variables and history.

import type { Digest } from "../../../base/digest.ts";
import type { ImageConfig } from "../../../spec/docker/image.ts";
import type { HistoryEntry, Platform } from "../../../spec/oci/image.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import type { Lookup } from "../dockerfile/index.ts";
import type { HistoryDraft, KnownImage } from "./index.ts";
import { rooted } from "./paths.ts";
import { crossSuffix, normalizePlatform } from "./platforms.ts";
import type { StageNode } from "./stage-node.ts";

/** A container's PATH where an image says none. Source: BuildKit and dockerd, linux. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Of the base image, as it goes into the draft. */
export interface BaseFacts {
  readonly history: readonly HistoryEntry[];
  readonly diffIds: readonly string[];
}

export class StageState {
  readonly node: StageNode;
  /** What runs here; the image says its own. */
  platform: Platform;
  imagePlatform: Platform;
  /** The tree; undefined while it is empty. */
  result: Digest | undefined;
  /** Set when the whole tree is a local directory's: reads of it are reads of that. */
  directory: string | undefined;
  config: Mutable<ImageConfig> = {};
  author: string | undefined;
  base: BaseFacts | undefined;
  history: HistoryDraft[] = [];
  /** Of the build: the image's ENV and the ARGs so far. */
  env = new Map<string, string>();
  /** ARGs so far, for history. */
  buildArgs: { readonly key: string; readonly value: string | undefined }[] = [];
  workdirSet = false;
  cmdSet = false;
  steps = 0;
  total = 0;

  constructor(node: StageNode, platform: Platform) {
    this.node = node;
    this.platform = platform;
    this.imagePlatform = platform;
  }

  get workdir(): string {
    return rooted(this.config.WorkingDir ?? "");
  }

  readonly lookup: Lookup = (name) => this.env.get(name);

  setEnv(key: string, value: string): void {
    this.env.delete(key);
    this.env.set(key, value);
  }

  /** Begins with another stage: everything but its triggers and what only counts inside of one stage. */
  inherit(base: StageState): void {
    this.platform = base.platform;
    this.imagePlatform = base.imagePlatform;
    this.result = base.result;
    this.directory = base.directory;
    const { OnBuild: _, ...config } = base.config;
    this.config = structuredClone(config);
    this.author = base.author;
    this.base = base.base;
    this.history = [...base.history];
    this.env = new Map(base.env);
    this.buildArgs = [...base.buildArgs];
    this.workdirSet = base.workdirSet;
  }

  /** Begins with an image. */
  begin(known: KnownImage, platform: Platform): void {
    const { config, author, architecture, os, variant, rootfs, history = [] } = known.config;
    const { OnBuild: _, ...rest } = config ?? {};
    this.config = structuredClone(rest);
    this.author = author;
    const version = known.config["os.version"];
    this.imagePlatform = {
      architecture: architecture === "" ? platform.architecture : architecture,
      os: os === "" ? platform.os : os,
      ...(version === undefined ? {} : { "os.version": version }),
      ...(variant === undefined ? {} : { variant }),
    };
    this.base = { history, diffIds: rootfs.diff_ids };
  }

  /** Begins with nothing. */
  beginEmpty(platform: Platform): void {
    this.platform = platform;
    this.imagePlatform = platform;
    this.config = { WorkingDir: "/" };
  }

  /** Makes sure of PATH and takes the image's variables over. */
  takeEnvironment(): void {
    const env = [...(this.config.Env ?? [])];
    if (!env.some((pair) => pair.startsWith("PATH="))) env.push(`PATH=${defaultPath}`);
    this.config.Env = env;
    for (const pair of env) {
      const at = pair.indexOf("=");
      if (at === -1) this.setEnv(pair, "");
      else this.setEnv(pair.slice(0, at), pair.slice(at + 1));
    }
  }

  commit(createdBy: string, vertex: Digest | undefined): void {
    this.history.push({ createdBy, comment: "buildkit.dockerfile.v0", author: "", vertex });
  }

  /** "[build 2/5] RUN make": counts the step. */
  prefix(text: string, withPlatform: boolean, isOnBuild: boolean): string {
    if (this.total === 0) return text;
    const platform = withPlatform
      ? `${renderPlatform(normalizePlatform(this.platform))}${crossSuffix(this.platform, this.lookup)} `
      : "";
    const name = this.node.displayName === "" ? "" : `${this.node.displayName} `;
    const step = String(++this.steps).padStart(String(this.total).length, " ");
    return `[${platform}${name}${step}/${this.total}] ${isOnBuild ? "ONBUILD " : ""}${text}`;
  }
}
