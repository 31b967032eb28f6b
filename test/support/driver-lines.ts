// Reads what driver-cases.ts prints.

export interface CaseResult {
  readonly title: string;
  /** "" for health. */
  readonly wrong: string;
}

export function casesOf(output: string): readonly CaseResult[] {
  return [...output.matchAll(/^(ok|wrong) (.*)$/gm)].map(([, verdict, text = ""]) => {
    if (verdict === "ok") return { title: text, wrong: "" };
    // A title has one colon: after the subject.
    const at = text.indexOf(": ", text.indexOf(": ") + 2);
    return { title: text.slice(0, at), wrong: text.slice(at + 2) };
  });
}
