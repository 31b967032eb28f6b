// What arguments and flags of commands name, for completion. A command that is not here has arguments that nobody can guess.

/** What a word is the name of. */
export type WordKind =
  | "container"
  | "running"
  | "startable"
  | "paused"
  | "image"
  | "network"
  | "volume"
  | "snapshot"
  | "object"
  | "copy"
  | "bind"
  | "file"
  | "directory"
  | "nothing"
  | { readonly oneOf: readonly string[] };

/** The kinds of a command's arguments; `rest` is that of all the others. */
export interface ArgumentKinds {
  readonly first: readonly WordKind[];
  readonly rest: WordKind;
}

function each(rest: WordKind): ArgumentKinds {
  return { first: [], rest };
}

function inOrder(...first: readonly WordKind[]): ArgumentKinds {
  return { first, rest: "nothing" };
}

/** By the first of a command's aliases. */
export const argumentKinds: Readonly<Record<string, ArgumentKinds>> = {
  "container attach": inOrder("running"),
  "container commit": inOrder("container"),
  "container cp": inOrder("copy", "copy"),
  "container create": { first: ["image"], rest: "file" },
  "container diff": inOrder("container"),
  "container exec": { first: ["running"], rest: "file" },
  "container export": inOrder("container"),
  "container inspect": each("container"),
  "container kill": each("running"),
  "container logs": inOrder("container"),
  "container pause": each("running"),
  "container port": inOrder("container"),
  "container rename": inOrder("container"),
  "container restart": each("container"),
  "container rm": each("container"),
  "container run": { first: ["image"], rest: "file" },
  "container start": each("startable"),
  "container stop": each("running"),
  "container top": inOrder("running"),
  "container unpause": each("paused"),
  "container wait": each("container"),
  "image build": inOrder("directory"),
  "image diff": inOrder("image", "image"),
  "image history": inOrder("image"),
  "image import": inOrder("file"),
  "image inspect": each("image"),
  "image push": inOrder("image"),
  "image rm": each("image"),
  "image save": each("image"),
  "image tag": inOrder("image", "image"),
  "manifest create": { first: ["nothing"], rest: "image" },
  "network connect": inOrder("network", "container"),
  "network disconnect": inOrder("network", "container"),
  "network inspect": each("network"),
  "network rm": each("network"),
  "volume export": inOrder("volume"),
  "volume import": inOrder("file"),
  "volume inspect": each("volume"),
  "volume restore": inOrder("volume", "snapshot"),
  "volume rm": each("volume"),
  "volume snapshot create": inOrder("volume"),
  "volume snapshot ls": inOrder("volume"),
  "volume snapshot rm": { first: ["volume"], rest: "snapshot" },
  "volume update": inOrder("volume"),
  completion: inOrder({ oneOf: ["bash", "fish", "zsh"] }),
  inspect: each("object"),
};

/** By a flag's name, whatever command it belongs to. */
export const flagKinds: Readonly<Record<string, WordKind>> = {
  attach: { oneOf: ["stderr", "stdin", "stdout"] },
  cgroupns: { oneOf: ["host", "private"] },
  cidfile: "file",
  config: "directory",
  "env-file": "file",
  file: "file",
  format: { oneOf: ["json", "table"] },
  input: "file",
  "label-file": "file",
  "log-level": { oneOf: ["debug", "error", "fatal", "info", "warn"] },
  network: "network",
  output: "file",
  platform: { oneOf: ["linux/amd64", "linux/arm64"] },
  progress: { oneOf: ["auto", "plain", "quiet", "rawjson", "tty"] },
  pull: { oneOf: ["always", "missing", "never"] },
  restart: { oneOf: ["always", "no", "on-failure", "unless-stopped"] },
  signal: { oneOf: ["SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] },
  snapshot: "snapshot",
  tlscacert: "file",
  tlscert: "file",
  tlskey: "file",
  type: { oneOf: ["container", "image", "network", "volume"] },
  volume: "bind",
  "volumes-from": "container",
};
