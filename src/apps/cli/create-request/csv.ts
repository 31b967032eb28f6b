// One record of comma-separated values with quotes, as --mount, --network and --gpus take. Source: Go's encoding/csv, RFC 4180.

/** @throws Error quotes that do not fit, or nothing at all ("EOF") */
export function parseCsvRecord(text: string): readonly string[] {
  const line = text.split(/\r?\n/).find((candidate) => candidate !== "");
  if (line === undefined) throw new Error("EOF");
  const fields: string[] = [];
  let index = 0;
  for (;;) {
    if (line.charAt(index) === '"') {
      let field = "";
      index += 1;
      for (;;) {
        const close = line.indexOf('"', index);
        if (close < 0)
          throw new Error(`parse error on line 1, column ${line.length + 1}: extraneous or missing " in quoted-field`);
        field += line.slice(index, close);
        index = close + 1;
        if (line.charAt(index) !== '"') break;
        field += '"';
        index += 1;
      }
      if (index < line.length && line.charAt(index) !== ",")
        throw new Error(`parse error on line 1, column ${index}: extraneous or missing " in quoted-field`);
      fields.push(field);
    } else {
      const comma = line.indexOf(",", index);
      const end = comma < 0 ? line.length : comma;
      const field = line.slice(index, end);
      const quote = field.indexOf('"');
      if (quote >= 0) throw new Error(`parse error on line 1, column ${index + quote + 1}: bare " in non-quoted-field`);
      fields.push(field);
      index = end;
    }
    if (index >= line.length) return fields;
    index += 1;
  }
}
