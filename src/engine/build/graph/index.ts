// The face of the graph: Dockerfile → graph of ops and the image's config. Pure and printable: what has to be asked of the world
// (configs of base images) is asked before, by name.

import type { Digest } from "../../../base/digest.ts";
import type { HistoryEntry, OciImageConfig, Platform } from "../../../spec/oci/image.ts";
import type { Dockerfile, LintWarning, Range } from "../dockerfile/index.ts";

/** Ids and modes of what is copied; undefined leaves the source's. */
export interface Ownership {
  /** "name[:group]" or numbers, looked up in the passwd and group of the tree that is written to; undefined is 0:0 for contexts. */
  readonly chown: string | undefined;
  /** Octal ("0644") or symbolic ("u=rwX,go=rX"). */
  readonly chmod: string | undefined;
}

/** One thing done to a tree. Input 0 of the op is the tree that is written to (or none: scratch); `input` counts from there. */
export type FileAction =
  | {
      readonly action: "copy";
      readonly input: number;
      /** In the input, "/"-rooted; patterns (Go's filepath.Match, and `**` with parents) are looked up there. */
      readonly source: string;
      /** "/"-rooted in the tree; ends with "/" when it is a directory for certain. */
      readonly destination: string;
      readonly allowWildcard: boolean;
      /** It is an error when nothing is there. */
      readonly required: boolean;
      /** --parents: directories from the `/./` pivot on are kept. */
      readonly parents: boolean;
      readonly exclude: readonly string[];
      /** A source that is a symlink is followed (inside of its own root). */
      readonly followLinks: boolean;
      /** ADD: a file that is an archive is unpacked instead of copied. */
      readonly unpack: "never" | "archives" | "always";
      /** Of a directory its content is copied, as COPY does. */
      readonly ownership: Ownership;
    }
  | { readonly action: "mkdir"; readonly path: string; readonly mode: number; readonly ownership: Ownership }
  | {
      readonly action: "mkfile";
      readonly path: string;
      readonly mode: number;
      readonly content: string;
      readonly ownership: Ownership;
    };

/** A mount of a step beside its root. */
export type StepMount =
  | {
      readonly type: "bind";
      /** Index into the vertex's inputs. */
      readonly input: number;
      readonly source: string;
      readonly target: string;
      /** False: writes are allowed and thrown away. */
      readonly readonly: boolean;
    }
  | {
      readonly type: "cache";
      /** With the namespace of BUILDKIT_CACHE_MOUNT_NS in front of it. */
      readonly id: string;
      readonly target: string;
      readonly sharing: "shared" | "private" | "locked";
      readonly readonly: boolean;
      /** What it is filled with when it is new; undefined: an empty directory. */
      readonly input: number | undefined;
      readonly source: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: "tmpfs"; readonly target: string; readonly sizeBytes: number | undefined }
  | {
      readonly type: "secret";
      readonly id: string;
      /** undefined when it is only an environment variable. */
      readonly target: string | undefined;
      readonly env: string | undefined;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: "ssh";
      readonly id: string;
      readonly target: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

export interface ImageOp {
  readonly kind: "image";
  /** Canonical, with its digest where it was resolved at a registry. */
  readonly reference: string;
  readonly platform: Platform;
  /** The image's id, from its resolution: the key of the op. */
  readonly imageId: Digest;
}
export interface LocalOp {
  readonly kind: "local";
  /** The client's name of the directory: "context", or a named context. */
  readonly name: string;
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
  readonly followPaths: readonly string[];
}
export interface HttpOp {
  readonly kind: "http";
  readonly url: string;
  /** Name of the one file in the tree. */
  readonly filename: string;
  readonly checksum: Digest | undefined;
  /** 0600 for ADD. */
  readonly mode: number;
}
export interface GitOp {
  readonly kind: "git";
  readonly remote: string;
  /** Branch, tag, full ref or commit; "" for the remote's HEAD. */
  readonly ref: string;
  readonly subdirectory: string;
  readonly keepGitDir: boolean;
  /** Full or beginning of a commit id that it must be. */
  readonly checksum: string | undefined;
}
export interface OciLayoutOp {
  readonly kind: "oci-layout";
  readonly storeId: string;
  readonly reference: string;
  readonly digest: Digest;
  readonly platform: Platform;
}
export interface FileOp {
  readonly kind: "file";
  readonly actions: readonly FileAction[];
  /** False: input 0 is not written to, the tree begins empty and counts as layers of its own (--link). */
  readonly hasBase: boolean;
}
export interface ExecOp {
  readonly kind: "exec";
  /** Input 0 is the root. */
  readonly args: readonly string[];
  /** "K=v", in order; with proxies and without secrets. */
  readonly env: readonly string[];
  /** Names of `env` that do not count for the cache: proxies. */
  readonly ignoredEnv: readonly string[];
  readonly user: string;
  readonly workingDirectory: string;
  /** "" for the default. */
  readonly hostname: string;
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
  readonly mounts: readonly StepMount[];
  /** Scripts of heredocs that are run by their first line: content → mounted read-only at this path. */
  readonly scripts: readonly { readonly path: string; readonly content: string }[];
  readonly platform: Platform;
  readonly limits: StepLimits;
}
/** The layers of the last input put upon those of the first, without reading either. */
export interface MergeOp {
  readonly kind: "merge";
}
export type Op = ImageOp | LocalOp | HttpOp | GitOp | OciLayoutOp | FileOp | ExecOp | MergeOp;
export type SourceOp = ImageOp | LocalOp | HttpOp | GitOp | OciLayoutOp;

/** What the request says of every step's resources. */
export interface StepLimits {
  readonly extraHosts: readonly string[];
  readonly shmSizeBytes: number | undefined;
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly cgroupParent: string | undefined;
  readonly memoryBytes: number | undefined;
  readonly memorySwapBytes: number | undefined;
  readonly cpuShares: number | undefined;
  readonly cpuPeriodUs: number | undefined;
  readonly cpuQuotaUs: number | undefined;
  readonly cpusetCpus: string | undefined;
  readonly cpusetMems: string | undefined;
  /** A network of the engine, by name or id, for steps that ask for none: the classic endpoint's networkmode. */
  readonly networkName?: string;
}

export interface Vertex {
  /** sha256 of the op's canonical JSON and its inputs' digests: the same step of the same text is the same vertex. */
  readonly digest: Digest;
  readonly op: Op;
  readonly inputs: readonly Digest[];
  /** "[build 2/5] RUN make". */
  readonly name: string;
  readonly ranges: readonly Range[];
  readonly ignoreCache: boolean;
}

/** Inputs before those who need them. */
export interface Graph {
  readonly vertices: ReadonlyMap<Digest, Vertex>;
}

/** A line of history that will be; `vertex` made its layer, if it made one. */
export interface HistoryDraft {
  readonly createdBy: string;
  readonly comment: string;
  readonly author: string;
  readonly vertex: Digest | undefined;
}

/** An image that a build describes; layers and times follow when its vertices are solved. */
export interface ImageDraft {
  readonly platform: Platform;
  /** The last vertex of the stage; undefined for FROM scratch and nothing else. */
  readonly result: Digest | undefined;
  /** Without rootfs, history and created. */
  readonly config: Omit<OciImageConfig, "rootfs" | "history" | "created">;
  /** Of the base image, with its layers. */
  readonly base: { readonly history: readonly HistoryEntry[]; readonly diffIds: readonly string[] } | undefined;
  readonly history: readonly HistoryDraft[];
}

/** The parts of a request that decide the graph. */
export interface LowerOptions {
  readonly target: string;
  readonly platforms: readonly Platform[];
  /** This host's. */
  readonly buildPlatform: Platform;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: Readonly<Record<string, string>>;
  /** All stages, or those named. */
  readonly noCache: boolean | readonly string[];
  readonly networkMode: "default" | "none" | "host" | "sandbox";
  readonly hostname: string;
  readonly limits: StepLimits;
  /** Named contexts: name (lower-cased; may be an image's, with tag) → what it is. */
  readonly contexts: ReadonlyMap<string, NamedContext>;
  /** The main context's: where COPY without --from reads. */
  readonly mainContext: NamedContext;
  /** In the main context: the paths of the Dockerfile are below it. */
  readonly contextSubdirectory?: string;
  /** Patterns of .dockerignore, already parsed to exclude patterns. */
  readonly ignorePatterns: readonly string[];
  /** The same of other local directories, by their names. */
  readonly contextIgnorePatterns?: ReadonlyMap<string, readonly string[]>;
  /** Seconds since 1970; SOURCE_DATE_EPOCH. */
  readonly sourceDateEpoch: number | undefined;
  /** Lowers what the target does not need, too: for lint. */
  readonly allStages?: boolean;
  readonly cacheMountNamespace: string;
}

export type NamedContext =
  | { readonly kind: "local"; readonly name: string }
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "oci-layout"; readonly storeId: string; readonly reference: string }
  | { readonly kind: "git"; readonly remote: string; readonly ref: string; readonly subdirectory: string }
  | {
      readonly kind: "http";
      readonly url: string;
      readonly filename: string;
      /** False: what was downloaded is the one file of the context; otherwise it is an archive of it. */
      readonly unpack?: boolean;
    }
  /** What another solve of this daemon returned. */
  | { readonly kind: "result"; readonly draft: ImageDraft; readonly graph: Graph };

/** A base image that must be looked at before lowering. */
export interface WantedImage {
  readonly reference: string;
  readonly platform: Platform;
  readonly range: Range | undefined;
  /** Set for an image in a client's OCI layout. */
  readonly storeId?: string;
}
export interface KnownImage {
  /** With digest, as it goes into the op. */
  readonly reference: string;
  readonly imageId: Digest;
  readonly config: OciImageConfig;
}

export interface Lowered {
  readonly graph: Graph;
  /** One per platform, in order. */
  readonly images: readonly ImageDraft[];
  /** UndefinedVar and InvalidBaseImagePlatform, which need the images; the other rules are `lintDockerfile`'s. */
  readonly warnings: readonly LintWarning[];
  /** What the file says, in order, over all stages that are built (of the first platform). */
  readonly steps: readonly PlannedInstruction[];
  /** Build arguments that no ARG takes, sorted. */
  readonly unusedBuildArgs: readonly string[];
}

/** An instruction, and the vertex that carries it out where one does. */
export interface PlannedInstruction {
  readonly instruction: string;
  readonly vertex: Digest | undefined;
  /** Not of the file: an ONBUILD of the image that the FROM before it names. */
  readonly isTrigger?: boolean;
}

/** Key of `known`: reference and platform. */
export type ImageKey = string;

export { imageKey, wantedKey, wantedImages, lowerDockerfile } from "./lower.ts";
export { renameDirectories } from "./rename-directories.ts";
export { contextGraph } from "./context-graph.ts";
export { canonicalJson } from "./vertex.ts";
export { renderPlan, type BuildPlan } from "./plan.ts";
export { outlineOf, targetsOf, renderOutline, renderTargets, renderLint, describeSubrequests } from "./subrequests.ts";
export type { Dockerfile };
