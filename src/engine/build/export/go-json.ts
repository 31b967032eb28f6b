// JSON as Go's encoding/json writes it, so that documents made here have the digests that BuildKit's have: `<`, `>`, `&` and the
// two separators of lines that JavaScript knows are escaped; maps are in the order of their keys, which callers see to.

/** @param indent spaces of a level; 0 for one line */
export function renderGoJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, undefined, indent).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same object with its members in the order of their names. */
export function sortMembers<T>(object: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** RFC 3339 as Go writes it: a fraction without zeros at its end, or none. */
export function goTime(text: string): string {
  return text.replace(/\.(\d*[1-9])?0*(?=Z|[+-])/, (_, digits: string | undefined) =>
    digits === undefined ? "" : `.${digits}`,
  );
}
