// "did you mean": the nearest of the names that exist, for names that do not.

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** " (did you mean x?)", or "" when nothing is near. */
export function suggestion(name: string, names: Iterable<string>): string {
  let best: string | undefined;
  let least = 3;
  for (const candidate of names) {
    const away = distance(name.toLowerCase(), candidate.toLowerCase());
    if (away > 0 && away < least && away < candidate.length) [best, least] = [candidate, away];
  }
  return best === undefined ? "" : ` (did you mean ${best}?)`;
}
