// The table of commands: names, one-line descriptions, where each one's code is. Only the called command's file is loaded.

import type { Command } from "./command.ts";

/** A command's place in the tree. */
export interface CommandEntry {
  readonly short: string;
  /** Every way to call it, in the order that help shows them; more than one makes an Aliases section. */
  readonly aliases: readonly string[];
  /** Not for people: helps do not list it. */
  readonly hidden?: boolean;
  load(): Promise<{ readonly command: Command }>;
}

export interface CommandGroup {
  readonly short: string;
  readonly commands: ReadonlyMap<string, CommandEntry>;
  /** Groups in it. */
  readonly groups?: ReadonlyMap<string, CommandGroup>;
}

function entry(short: string, aliases: readonly string[], load: CommandEntry["load"]): CommandEntry {
  return { short, aliases, load };
}

const attach = entry(
  "Connect this terminal's input and output to a running container",
  ["container attach", "attach"],
  () => import("./commands/attach.ts"),
);
const build = entry(
  "Build an image from a Dockerfile",
  ["image build", "build", "builder build"],
  () => import("./commands/build.ts"),
);
const commit = entry(
  "Make an image of a container's changes",
  ["container commit", "commit"],
  () => import("./commands/commit.ts"),
);
const complete: CommandEntry = {
  ...entry("Complete a command line", ["__complete"], () => import("./commands/complete.ts")),
  hidden: true,
};
const completion = entry(
  "Print a script that lets a shell complete command lines",
  ["completion"],
  () => import("./commands/completion.ts"),
);
const cp = entry(
  `Copy files between a container and this machine

"-" as the source reads a tar archive from stdin and unpacks it in a
directory of the container; "-" as the destination writes one to stdout.`,
  ["container cp", "cp"],
  () => import("./commands/cp.ts"),
);
const create = entry("Make a new container", ["container create", "create"], () => import("./commands/create.ts"));
const diff = entry(
  "Show which files of a container were changed (A added, C changed, D deleted)",
  ["container diff", "diff"],
  () => import("./commands/diff.ts"),
);
const events = entry(
  "Follow what happens in the daemon",
  ["system events", "events"],
  () => import("./commands/events.ts"),
);
const exec = entry(
  "Run a command in a running container",
  ["container exec", "exec"],
  () => import("./commands/exec.ts"),
);
const exportContainer = entry(
  "Write a container's file system to a tar archive",
  ["container export", "export"],
  () => import("./commands/export.ts"),
);
const history = entry(
  "Show how an image came to be",
  ["image history", "history"],
  () => import("./commands/history.ts"),
);
const images = entry("List images", ["image ls", "image list", "images"], () => import("./commands/images.ts"));
const importImage = entry(
  "Make an image of a root file system in a tar archive",
  ["image import", "import"],
  () => import("./commands/import.ts"),
);
const info = entry("Show what the daemon is and has", ["system info", "info"], () => import("./commands/info.ts"));
const kill = entry(
  "Send a signal to running containers",
  ["container kill", "kill"],
  () => import("./commands/kill.ts"),
);
const load = entry(
  "Load images from a tar archive or stdin",
  ["image load", "load"],
  () => import("./commands/load.ts"),
);
const login = entry(
  "Log in to a registry\nDocker Hub where no server is named.",
  ["login"],
  () => import("./commands/login.ts"),
);
const logout = entry(
  "Log out from a registry\nDocker Hub where no server is named.",
  ["logout"],
  () => import("./commands/logout.ts"),
);
const logs = entry("Show what a container wrote", ["container logs", "logs"], () => import("./commands/logs.ts"));
const pause = entry(
  "Freeze all processes of containers",
  ["container pause", "pause"],
  () => import("./commands/pause.ts"),
);
const port = entry(
  "List a container's published ports",
  ["container port", "port"],
  () => import("./commands/port.ts"),
);
const ps = entry(
  "List containers",
  ["container ls", "container list", "container ps", "ps"],
  () => import("./commands/ps.ts"),
);
const pull = entry("Fetch an image from a registry", ["image pull", "pull"], () => import("./commands/pull.ts"));
const push = entry("Send an image to a registry", ["image push", "push"], () => import("./commands/push.ts"));
const rename = entry(
  "Give a container another name",
  ["container rename", "rename"],
  () => import("./commands/rename.ts"),
);
const restart = entry(
  "Stop and start containers",
  ["container restart", "restart"],
  () => import("./commands/restart.ts"),
);
const rm = entry("Remove containers", ["container rm", "container remove", "rm"], () => import("./commands/rm.ts"));
const rmi = entry("Remove images", ["image rm", "image remove", "rmi"], () => import("./commands/rmi.ts"));
const run = entry(
  "Make a container of an image and run it",
  ["container run", "run"],
  () => import("./commands/run.ts"),
);
const save = entry(
  "Write images to a tar archive (to stdout by default)",
  ["image save", "save"],
  () => import("./commands/save.ts"),
);
const search = entry("Search a registry for images", ["search"], () => import("./commands/search.ts"));
const start = entry("Start stopped containers", ["container start", "start"], () => import("./commands/start.ts"));
const stop = entry("Stop running containers", ["container stop", "stop"], () => import("./commands/stop.ts"));
const tag = entry("Give an image another name", ["image tag", "tag"], () => import("./commands/tag.ts"));
const top = entry("List a container's processes", ["container top", "top"], () => import("./commands/top.ts"));
const unpause = entry(
  "Thaw frozen containers",
  ["container unpause", "unpause"],
  () => import("./commands/unpause.ts"),
);
const wait = entry(
  "Wait until containers stop and print their exit codes",
  ["container wait", "wait"],
  () => import("./commands/wait.ts"),
);
const version = entry("Show the versions of client and daemon", ["version"], () => import("./commands/version.ts"));
const inspect = entry("Show everything about objects as JSON", ["inspect"], () => import("./commands/inspect.ts"));

/** Commands directly under the program; `common` ones come first in the help. */
export const topCommands: ReadonlyMap<string, CommandEntry> = new Map(
  Object.entries({
    run,
    exec,
    ps,
    pull,
    push,
    images,
    login,
    logout,
    search,
    version,
    info,
    attach,
    build,
    commit,
    completion,
    cp,
    create,
    diff,
    events,
    export: exportContainer,
    history,
    import: importImage,
    inspect,
    kill,
    load,
    logs,
    pause,
    port,
    rename,
    restart,
    rm,
    rmi,
    save,
    start,
    stop,
    tag,
    top,
    unpause,
    wait,
    __complete: complete,
  }),
);

/** How many of `topCommands` are common. */
export const commonCommands = 11;

const containerInspect = entry(
  "Show everything about containers as JSON",
  ["container inspect"],
  () => import("./commands/inspect-container.ts"),
);
const imageInspect = entry(
  "Show everything about images as JSON",
  ["image inspect"],
  () => import("./commands/inspect-image.ts"),
);
const networkInspect = entry(
  "Show everything about networks as JSON",
  ["network inspect"],
  () => import("./commands/inspect-network.ts"),
);

const volumeInspect = entry(
  "Show everything about volumes as JSON",
  ["volume inspect"],
  () => import("./commands/inspect-volume.ts"),
);

const volumeSnapshots: CommandGroup = {
  short: "Manage what volumes held at other moments",
  commands: new Map<string, CommandEntry>([
    [
      "create",
      entry(
        "Keep what a volume holds now\nContainers that use it go on. Without a name, the snapshot is named by the time.",
        ["volume snapshot create"],
        () => import("./commands/volume-snapshot-create.ts"),
      ),
    ],
    [
      "ls",
      entry(
        "List the snapshots of a volume, oldest first",
        ["volume snapshot ls", "volume snapshot list"],
        () => import("./commands/volume-snapshot-ls.ts"),
      ),
    ],
    [
      "rm",
      entry(
        "Remove snapshots of a volume",
        ["volume snapshot rm", "volume snapshot remove"],
        () => import("./commands/volume-snapshot-rm.ts"),
      ),
    ],
  ]),
};

/** The groups of commands. */
export const commandGroups: ReadonlyMap<string, CommandGroup> = new Map([
  [
    "container",
    {
      short: "Manage containers",
      commands: new Map<string, CommandEntry>([
        ["attach", attach],
        ["commit", commit],
        ["cp", cp],
        ["create", create],
        ["diff", diff],
        ["exec", exec],
        ["export", exportContainer],
        ["inspect", containerInspect],
        ["kill", kill],
        ["logs", logs],
        ["ls", ps],
        ["pause", pause],
        ["port", port],
        [
          "prune",
          entry("Remove all stopped containers", ["container prune"], () => import("./commands/container-prune.ts")),
        ],
        ["rename", rename],
        ["restart", restart],
        ["rm", rm],
        ["run", run],
        ["start", start],
        ["stop", stop],
        ["top", top],
        ["unpause", unpause],
        ["wait", wait],
      ]),
    },
  ],
  [
    "image",
    {
      short: "Manage images",
      commands: new Map<string, CommandEntry>([
        [
          "bootstrap",
          entry(
            "Make a base image of a distribution from an APT mirror",
            ["image bootstrap"],
            () => import("./commands/image-bootstrap.ts"),
          ),
        ],
        ["build", build],
        ["diff", entry("Compare the files of two images", ["image diff"], () => import("./commands/image-diff.ts"))],
        ["history", history],
        ["import", importImage],
        ["inspect", imageInspect],
        ["load", load],
        ["ls", images],
        ["prune", entry("Remove unused images", ["image prune"], () => import("./commands/image-prune.ts"))],
        ["pull", pull],
        ["push", push],
        ["rm", rmi],
        ["save", save],
        ["tag", tag],
      ]),
    },
  ],
  [
    "builder",
    {
      short: "Manage builds and what they keep",
      commands: new Map<string, CommandEntry>([
        ["build", build],
        ["du", entry("Show what the build cache holds", ["builder du"], () => import("./commands/builder-du.ts"))],
        ["prune", entry("Remove build cache", ["builder prune"], () => import("./commands/builder-prune.ts"))],
      ]),
    },
  ],
  [
    "manifest",
    {
      short: "Manage manifests and manifest lists in registries",
      commands: new Map<string, CommandEntry>([
        [
          "annotate",
          entry(
            "Correct the platform of an image in a local manifest list",
            ["manifest annotate"],
            () => import("./commands/manifest-annotate.ts"),
          ),
        ],
        [
          "create",
          entry(
            "Make a local manifest list, to be annotated and pushed",
            ["manifest create"],
            () => import("./commands/manifest-create.ts"),
          ),
        ],
        [
          "inspect",
          entry(
            "Show a manifest or a manifest list",
            ["manifest inspect"],
            () => import("./commands/manifest-inspect.ts"),
          ),
        ],
        [
          "push",
          entry("Send a manifest list to a registry", ["manifest push"], () => import("./commands/manifest-push.ts")),
        ],
        ["rm", entry("Remove local manifest lists", ["manifest rm"], () => import("./commands/manifest-rm.ts"))],
      ]),
    },
  ],
  [
    "network",
    {
      short: "Manage networks",
      commands: new Map<string, CommandEntry>([
        [
          "connect",
          entry("Connect a container to a network", ["network connect"], () => import("./commands/network-connect.ts")),
        ],
        ["create", entry("Make a network", ["network create"], () => import("./commands/network-create.ts"))],
        [
          "disconnect",
          entry(
            "Disconnect a container from a network",
            ["network disconnect"],
            () => import("./commands/network-disconnect.ts"),
          ),
        ],
        ["inspect", networkInspect],
        ["ls", entry("List networks", ["network ls", "network list"], () => import("./commands/network-ls.ts"))],
        ["prune", entry("Remove unused networks", ["network prune"], () => import("./commands/network-prune.ts"))],
        ["rm", entry("Remove networks", ["network rm", "network remove"], () => import("./commands/network-rm.ts"))],
        [
          "rules",
          entry(
            "Show the firewall of all networks, with comments",
            ["network rules"],
            () => import("./commands/network-rules.ts"),
          ),
        ],
      ]),
    },
  ],
  [
    "registry",
    {
      short: "Serve images to others",
      commands: new Map<string, CommandEntry>([
        ["gc", entry("Collect the garbage of a registry", ["registry gc"], () => import("./commands/registry-gc.ts"))],
        ["serve", entry("Run a registry", ["registry serve"], () => import("./commands/registry-serve.ts"))],
      ]),
    },
  ],
  [
    "system",
    {
      short: "Manage the daemon",
      commands: new Map<string, CommandEntry>([
        ["check", entry("Check the daemon's invariants", ["system check"], () => import("./commands/system-check.ts"))],
        [
          "df",
          entry(
            "Show what images, containers, volumes and the build cache take on disk",
            ["system df"],
            () => import("./commands/system-df.ts"),
          ),
        ],
        ["events", events],
        ["info", info],
        ["prune", entry("Remove what is not used", ["system prune"], () => import("./commands/system-prune.ts"))],
      ]),
    },
  ],
  [
    "volume",
    {
      short: "Manage volumes",
      commands: new Map<string, CommandEntry>([
        ["create", entry("Make a volume", ["volume create"], () => import("./commands/volume-create.ts"))],
        [
          "export",
          entry(
            "Write a volume's files to a tar archive (to stdout by default)",
            ["volume export"],
            () => import("./commands/volume-export.ts"),
          ),
        ],
        [
          "import",
          entry("Make a volume of a tar archive", ["volume import"], () => import("./commands/volume-import.ts")),
        ],
        ["inspect", volumeInspect],
        ["ls", entry("List volumes", ["volume ls", "volume list"], () => import("./commands/volume-ls.ts"))],
        [
          "prune",
          entry(
            "Remove local volumes that no container has\nThose with snapshots and those with options of the driver are left.",
            ["volume prune"],
            () => import("./commands/volume-prune.ts"),
          ),
        ],
        [
          "restore",
          entry(
            "Make a volume what a snapshot of it holds\nWhat it holds now is kept as a snapshot, unless --discard is given.",
            ["volume restore"],
            () => import("./commands/volume-restore.ts"),
          ),
        ],
        [
          "rm",
          entry(
            "Remove volumes that no container uses",
            ["volume rm", "volume remove"],
            () => import("./commands/volume-rm.ts"),
          ),
        ],
        ["update", entry("Change labels of a volume", ["volume update"], () => import("./commands/volume-update.ts"))],
      ]),
      groups: new Map([["snapshot", volumeSnapshots]]),
    },
  ],
]);

/** Finds a group's command by name or alias ("list" is "ls"). */
export function findInGroup(groupName: string, group: CommandGroup, name: string): CommandEntry | undefined {
  const direct = group.commands.get(name);
  if (direct !== undefined) return direct;
  const alias = `${groupName} ${name}`;
  return [...group.commands.values()].find((candidate) => candidate.aliases.includes(alias));
}
