// HostConfig.SecurityOpt: strings as the CLI sends them, parsed once. Docker accepts "key=value" and the older "key:value".
// Source: Engine API 1.51, HostConfig.SecurityOpt; texts as dockerd 28.5 gives them.

/** A seccomp profile as its JSON text said; its shape is checked by seccomp/user-profile.ts. */
export type SeccompChoice =
  | { readonly kind: "builtin" }
  | { readonly kind: "unconfined" }
  | { readonly kind: "profile"; readonly profile: unknown };

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  readonly seccomp: SeccompChoice;
  /** AppArmor profile asked for; "unconfined", or undefined for the host's default. */
  readonly appArmor: string | undefined;
  /** SELinux labels without "label="; "disable" among them. */
  readonly labels: readonly string[];
  /** cgroup file system writable from inside. */
  readonly writableCgroups: boolean;
  /** No masked and no read-only paths. */
  readonly unconfinedPaths: boolean;
  readonly errors: readonly string[];
}

function parseBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  return undefined;
}

function parseSeccomp(value: string): SeccompChoice | string {
  if (value === "unconfined") return { kind: "unconfined" };
  if (value === "builtin" || value === "") return { kind: "builtin" };
  try {
    return { kind: "profile", profile: JSON.parse(value) as unknown };
  } catch (error) {
    return `Decoding seccomp profile failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Parses SecurityOpt; what is wrong stands in `errors` and has no effect on the rest. */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  let noNewPrivileges = false;
  let seccomp: SeccompChoice = { kind: "builtin" };
  let appArmor: string | undefined;
  let writableCgroups = false;
  let unconfinedPaths = false;
  const labels: string[] = [];
  const errors: string[] = [];
  for (const option of options) {
    if (option === "no-new-privileges") {
      noNewPrivileges = true;
      continue;
    }
    if (option === "disable") {
      labels.push("disable");
      continue;
    }
    const split = option.includes("=") ? option.indexOf("=") : option.indexOf(":");
    if (split < 0) {
      errors.push(`invalid --security-opt 1: ${JSON.stringify(option)}`);
      continue;
    }
    const key = option.slice(0, split);
    const value = option.slice(split + 1);
    const flag = parseBoolean(value);
    const invalid = `invalid --security-opt 2: ${JSON.stringify(option)}`;
    switch (key) {
      case "no-new-privileges":
        if (flag === undefined) errors.push(invalid);
        else noNewPrivileges = flag;
        break;
      case "writable-cgroups":
        if (flag === undefined) errors.push(invalid);
        else writableCgroups = flag;
        break;
      case "seccomp": {
        const choice = parseSeccomp(value);
        if (typeof choice === "string") errors.push(choice);
        else seccomp = choice;
        break;
      }
      case "apparmor":
        appArmor = value;
        break;
      case "label":
        labels.push(value);
        break;
      case "systempaths":
        if (value === "unconfined") unconfinedPaths = true;
        else errors.push(invalid);
        break;
      default:
        errors.push(invalid);
    }
  }
  return { noNewPrivileges, seccomp, appArmor, labels, writableCgroups, unconfinedPaths, errors };
}
