// Docker's filters on the wire: {"key":{"value":true}}. Source: Docker Engine API 1.51, query parameter `filters`.

/** Key → values. */
export type FilterArgs = ReadonlyMap<string, readonly string[]>;

/** The JSON for the query, sorted as Go sorts maps; undefined without any filter. */
export function renderFilters(filters: FilterArgs): string | undefined {
  if (filters.size === 0) return undefined;
  const sorted = [...filters].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(
    Object.fromEntries(
      sorted.map(([key, values]) => [key, Object.fromEntries([...values].sort().map((value) => [value, true]))]),
    ),
  );
}
