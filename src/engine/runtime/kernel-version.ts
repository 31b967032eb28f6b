// Kernel releases compared, and what depends upon them.

/** "6.1.0-13-amd64" is at least 5.12. */
export function isKernelAtLeast(release: string, major: number, minor: number): boolean {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (match === null) return false;
  const [have, haveMinor] = [Number(match[1]), Number(match[2])];
  return have > major || (have === major && haveMinor >= minor);
}

/** mount_setattr(2) with AT_RECURSIVE. Source: mount_setattr(2), Linux 5.12. */
export function hasRecursiveReadOnly(release: string): boolean {
  return isKernelAtLeast(release, 5, 12);
}
