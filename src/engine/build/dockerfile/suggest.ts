// "did you mean …?": the nearest of the words that would have been right.

/** Words further away than this are no suggestion. */
const nearest = 2;

/** Levenshtein's distance. */
export function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const changed = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, changed));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}

/**
 * The option nearest to `word`; undefined when none is near, or when `word` is one of them (then it was not the word that is wrong).
 *
 * @param ignoreCase compares without case, and answers in the case of `word`
 */
export function suggest(word: string, options: readonly string[], ignoreCase = false): string | undefined {
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text);
  const wanted = fold(word).slice(0, 200);
  let best: string | undefined;
  let distance = nearest + 1;
  for (const option of options) {
    if (fold(option) === wanted) return undefined;
    const away = editDistance(wanted, fold(option));
    if (away >= distance) continue;
    best = option;
    distance = away;
  }
  if (best === undefined || !ignoreCase) return best;
  return word === word.toUpperCase() ? best.toUpperCase() : best.toLowerCase();
}

/** `message`, with the suggestion behind it where there is one. */
export function withSuggestion(message: string, word: string, options: readonly string[], ignoreCase = false): string {
  const suggestion = suggest(word, options, ignoreCase);
  return suggestion === undefined ? message : `${message} (did you mean ${suggestion}?)`;
}
