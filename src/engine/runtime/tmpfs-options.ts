// The option string of a tmpfs: "size=64m,mode=1777,exec". Contradicting flags: the last one wins, as with mount(8).
// Source: tmpfs(5), mount(8); the set of words is what Docker accepts.

/** Flags in groups of which one counts. */
const flagGroups: readonly (readonly string[])[] = [
  ["ro", "rw"],
  ["exec", "noexec"],
  ["suid", "nosuid"],
  ["dev", "nodev"],
  ["sync", "async"],
  ["dirsync"],
  ["mand", "nomand"],
  ["atime", "noatime"],
  ["diratime", "nodiratime"],
  ["relatime", "norelatime"],
  ["strictatime", "nostrictatime"],
  ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"],
];

/** What the value of a key may look like; checked here because the kernel's complaint names nothing. */
const valueShapes: Readonly<Record<string, RegExp>> = {
  size: /^[0-9]{1,19}(?:[kmgtpe]i?b?|%)?$/i,
  mode: /^[0-7]{1,5}$/,
  uid: /^[0-9]{1,10}$/,
  gid: /^[0-9]{1,10}$/,
  nr_inodes: /^[0-9]{1,19}[kmg]?$/i,
  nr_blocks: /^[0-9]{1,19}[kmg]?$/i,
  mpol: /^[a-z]+(?:=[a-z]+)?(?::[0-9,-]+)?$/,
};

/** "size=…" in the largest unit that is exact. */
export function renderTmpfsSize(bytes: number): string {
  for (const [unit, factor] of [
    ["g", 2 ** 30],
    ["m", 2 ** 20],
    ["k", 2 ** 10],
  ] as const) {
    if (bytes % factor === 0) return `size=${bytes / factor}${unit}`;
  }
  return `size=${bytes}`;
}

/**
 * Mount options for a tmpfs; noexec, nosuid and nodev unless the words say otherwise.
 *
 * `errors`: `invalid tmpfs option "x"`, in dockerd's words.
 */
export function parseTmpfsOptions(words: readonly string[]): {
  readonly options: readonly string[];
  readonly errors: readonly string[];
} {
  const flags = new Map<number, string>();
  const values = new Map<string, string>();
  const errors: string[] = [];
  for (const word of ["noexec", "nosuid", "nodev", "rprivate", ...words]) {
    if (word === "defaults") continue;
    const group = flagGroups.findIndex((names) => names.includes(word));
    const equals = word.indexOf("=");
    const key = equals < 0 ? "" : word.slice(0, equals);
    const shape = Object.hasOwn(valueShapes, key) ? valueShapes[key] : undefined;
    if (group >= 0) {
      flags.delete(group);
      flags.set(group, word);
    } else if (shape?.test(word.slice(equals + 1)) === true) values.set(key, word);
    else errors.push(`invalid tmpfs option ${JSON.stringify(word)}`);
  }
  return { options: [...flags.values(), ...values.values()], errors };
}
