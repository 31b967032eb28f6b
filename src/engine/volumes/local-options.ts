// Options of the driver local: what they may be, and the mounts that they ask for. Pure. Texts and the reading of `o` are dockerd's.
// Source: docs.docker.com, "docker volume create"; mount(2), mount(8).

import { EngineError } from "../../base/errors.ts";
import { parseRamBytes, UnitError } from "../../base/units.ts";

type Options = Readonly<Record<string, string>>;

const known = new Set(["type", "o", "device", "size"]);

/** What each option needs beside it. */
const companions: readonly (readonly [option: string, needs: readonly string[]])[] = [
  ["device", ["type"]],
  ["type", ["device"]],
  ["o", ["device", "type"]],
];

/** Options of a local volume that passed: a limit of its size, 0 for none, or file systems to be mounted. */
export interface LocalOptions {
  readonly sizeBytes: number;
  readonly isMounted: boolean;
}

/** @throws InvalidParameter `create x: invalid option: "y"`, and others in dockerd's words */
export function parseLocalOptions(name: string, options: Options): LocalOptions {
  const refuse = (text: string): EngineError => new EngineError("InvalidParameter", `create ${name}: ${text}`);
  for (const key of Object.keys(options)) if (!known.has(key)) throw refuse(`invalid option: ${JSON.stringify(key)}`);
  const sizeBytes = options["size"] === undefined ? 0 : parseSize(options["size"], refuse);
  for (const [option, needs] of companions)
    if (Object.hasOwn(options, option))
      for (const other of needs)
        if (!Object.hasOwn(options, other)) throw refuse(`missing required option: ${JSON.stringify(other)}`);
  return { sizeBytes, isMounted: needsMount(options) };
}

function parseSize(text: string, refuse: (text: string) => EngineError): number {
  try {
    return parseRamBytes(text);
  } catch (error) {
    if (error instanceof UnitError) throw refuse(`invalid size: '${text}'`);
    throw error;
  }
}

/** Whether something is mounted on the volume's directory. */
export function needsMount(options: Options | null): boolean {
  return (options?.["type"] ?? "") !== "" || (options?.["device"] ?? "") !== "";
}

/** One call of mount(2). */
export interface MountStep {
  readonly operation: "mount" | "remount" | "remount-ro";
  readonly source: string;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

const MS_RDONLY = 0x1;
const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SILENT = 0x8000;
const MS_UNBINDABLE = 0x20000;
const MS_PRIVATE = 0x40000;
const MS_SLAVE = 0x80000;
const MS_SHARED = 0x100000;
const propagations = MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED;

/** Words of `o` that are flags; all others are the file system's own. */
const flagWords: Readonly<Record<string, readonly [clears: boolean, flag: number]>> = {
  defaults: [false, 0],
  ro: [false, MS_RDONLY],
  rw: [true, MS_RDONLY],
  nosuid: [false, 0x2],
  suid: [true, 0x2],
  nodev: [false, 0x4],
  dev: [true, 0x4],
  noexec: [false, 0x8],
  exec: [true, 0x8],
  sync: [false, 0x10],
  async: [true, 0x10],
  remount: [false, MS_REMOUNT],
  mand: [false, 0x40],
  nomand: [true, 0x40],
  dirsync: [false, 0x80],
  noatime: [false, 0x400],
  atime: [true, 0x400],
  nodiratime: [false, 0x800],
  diratime: [true, 0x800],
  bind: [false, MS_BIND],
  rbind: [false, MS_BIND | MS_REC],
  unbindable: [false, MS_UNBINDABLE],
  runbindable: [false, MS_UNBINDABLE | MS_REC],
  private: [false, MS_PRIVATE],
  rprivate: [false, MS_PRIVATE | MS_REC],
  slave: [false, MS_SLAVE],
  rslave: [false, MS_SLAVE | MS_REC],
  shared: [false, MS_SHARED],
  rshared: [false, MS_SHARED | MS_REC],
  relatime: [false, 0x200000],
  norelatime: [true, 0x200000],
  strictatime: [false, 0x1000000],
  nostrictatime: [true, 0x1000000],
};

/** The mounts that type, device and `o` ask for, in order. Host names in `o` and in the device were resolved before. */
export function planMounts(type: string, device: string, o: string): readonly MountStep[] {
  let flags = 0;
  const words: string[] = [];
  for (const word of o.split(",").filter((text) => text !== "")) {
    const entry = Object.hasOwn(flagWords, word) ? flagWords[word] : undefined;
    if (entry === undefined) words.push(word);
    else flags = entry[0] ? flags & ~entry[1] : flags | entry[1];
  }
  const data = words.join(",");
  const own = flags & ~propagations;
  const isChange = (flags & MS_REMOUNT) !== 0 || device === "" || device === "none";
  return [
    ...(!isChange || data !== "" || own === flags
      ? [{ operation: "mount", source: device, type, flags: own, data } as const]
      : []),
    ...((flags & propagations) === 0
      ? []
      : [
          {
            operation: "remount",
            source: "",
            type: "",
            flags: flags & (propagations | MS_REC | MS_SILENT),
            data: "",
          } as const,
        ]),
    ...((own & (MS_BIND | MS_RDONLY)) === (MS_BIND | MS_RDONLY)
      ? [{ operation: "remount-ro", source: "", type: "", flags: own | MS_REMOUNT, data: "" } as const]
      : []),
  ];
}

export function isBind(steps: readonly MountStep[]): boolean {
  return steps.some(({ operation, flags }) => operation === "mount" && (flags & MS_BIND) !== 0);
}

/** What was tried, in the words of dockerd, without its reason. */
export function describeStep({ operation, source, flags, data }: MountStep, target: string): string {
  return [
    `${operation} ${source === "" ? target : `${source}:${target}`}`,
    ...(flags === 0 ? [] : [`flags: 0x${flags.toString(16)}`]),
    ...(data === "" ? [] : [`data: ${hideSecrets(data)}`]),
  ].join(", ");
}

/** Nobody reads a password in an error or in the log. */
export function hideSecrets(o: string): string {
  return o.replace(/(^|,)(password2?|pass)=[^,]*/g, "$1$2=********");
}
