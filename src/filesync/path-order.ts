// The order in which entries of a tree are told.

/**
 * The order of a depth-first walk over sorted directories: bytes of UTF-8, with "/" before every other. It is the order in which
 * BuildKit's clients tell their files.
 */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 sorts surrogates before U+E000 to U+FFFF; UTF-8 sorts them behind. */
function rank(unit: number): number {
  if (unit === 47) return -1;
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
