// Paths inside of trees: always "/"-rooted, "." and ".." resolved without leaving the root.

/** Clean and rooted; a "/" at the end does not stay. */
export function rooted(...parts: readonly string[]): string {
  const out: string[] = [];
  for (const part of parts.join("/").split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") out.pop();
    else out.push(part);
  }
  return `/${out.join("/")}`;
}

/** Where COPY writes: relative to the working directory; ends with "/" when it names a directory. */
export function destinationPath(workdir: string, path: string): string {
  const isDirectory = path === "" || path === "." || /(?:^|\/)\.{0,2}$/.test(path);
  const whole = path.startsWith("/") ? rooted(path) : rooted(workdir, path);
  return isDirectory && whole !== "/" ? `${whole}/` : whole;
}

/** Relative paths are below the working directory. */
export function absolutePath(workdir: string, path: string): string {
  return path.startsWith("/") ? rooted(path) : rooted(workdir, path);
}

/** The last part of a path; "" of the root. */
export function baseName(path: string): string {
  return rooted(path).split("/").at(-1) ?? "";
}

/** Whether it has one of Go's pattern characters that is not escaped. */
export function hasWildcard(path: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*[*?[]/.test(path);
}
