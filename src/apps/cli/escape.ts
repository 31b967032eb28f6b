// Names, labels and messages come from whoever made a container: control bytes in them must not reach a terminal, where they
// could move the cursor, hide lines or type. Source: CVE-class "terminal escape injection"; security.md L01.

/* oxlint-disable no-control-regex */
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const cellControls = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function show(c: string): string {
  const code = c.charCodeAt(0);
  if (c === "\n") return "\\n";
  if (c === "\t") return "\\t";
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
}

/** Makes control characters visible; newline and tab stay. */
export function escapeControls(text: string): string {
  return text.replace(controls, show);
}

/** Makes control characters visible, newline and tab too: for the cells of a table. */
export function escapeCell(text: string): string {
  return text.replace(cellControls, show);
}
