// The environment and arguments of a process: checked; Docker's defaults below what the image and the client say.
// Source: Docker's reference for `docker run`, "Environment variables".

/** Where programs are looked for when nobody says so. */
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function nameOf(entry: string): string {
  const equals = entry.indexOf("=");
  return equals < 0 ? entry : entry.slice(0, equals);
}

/** `base` with `changes` over it: the last one of a name wins in the place of the first, and a bare name removes. */
export function mergeEnvironment(base: readonly string[], changes: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of [...base, ...changes]) {
    if (entry.includes("=")) merged.set(nameOf(entry), entry);
    else merged.delete(entry);
  }
  return [...merged.values()];
}

/** PATH, HOSTNAME, TERM (with a terminal) and HOME as defaults, `environment` over them. */
export function planEnvironment(
  environment: readonly string[],
  options: { readonly hostname: string; readonly tty: boolean; readonly home: string },
): readonly string[] {
  const defaults = [defaultPath, `HOSTNAME=${options.hostname}`, ...(options.tty ? ["TERM=xterm"] : [])];
  const merged = mergeEnvironment(defaults, environment);
  return merged.some((entry) => nameOf(entry) === "HOME") ? merged : [...merged, `HOME=${options.home || "/"}`];
}

/** Complaints about an environment, a container's or an exec's. Values may have any byte but NUL. */
export function checkEnvironment(environment: readonly string[]): readonly string[] {
  const errors: string[] = [];
  for (const entry of environment) {
    const name = nameOf(entry);
    if (name === "") errors.push(`invalid environment variable: ${entry.slice(0, 200)}`);
    else if (entry.includes("\0") || /\p{Cc}/u.test(name)) {
      errors.push(`invalid environment variable: ${JSON.stringify(entry.slice(0, 200))}`);
    }
  }
  return errors;
}

/** A NUL byte would end the argument for the runtime, which is written in C. @param field named in the complaint */
export function checkArguments(field: string, words: readonly string[]): readonly string[] {
  return words.some((word) => word.includes("\0")) ? [`invalid ${field}: an argument has a NUL byte`] : [];
}
