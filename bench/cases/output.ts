// 200 MB of short lines: attached and logged, then read back.

import { type Api, drain } from "../api.ts";

/** Bytes of output per run; lines of 64 bytes. */
export const outputBytes = 200_000_000;

const line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";

/** Lines are made once and written many times: what is measured is the engine, not how fast busybox makes lines. */
const writer = `yes ${line} | head -c 1000000 >/dev/shm/lines; i=0; while [ $i -lt ${outputBytes / 1_000_000} ]; do cat /dev/shm/lines; i=$((i+1)); done`;

/** Makes a container that will write `outputBytes` to stdout and end. */
export async function createWriter(api: Api): Promise<string> {
  const { Id } = await api.json<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sh", "-c", writer],
    AttachStdout: true,
  });
  return Id;
}

/** Attaches, starts and reads everything; the log is written meanwhile. */
export async function attachAndRead(api: Api, id: string): Promise<void> {
  const stream = await api.hijack(`/containers/${id}/attach?stream=1&stdout=1`);
  const reading = drain(stream);
  await api.text("POST", `/containers/${id}/start`);
  const bytes = await reading;
  if (bytes < outputBytes) throw new Error(`attach delivered ${bytes} of ${outputBytes} bytes`);
}

/** Reads the whole log back. */
export async function readLogs(api: Api, id: string): Promise<void> {
  const bytes = await drain(await api.open("GET", `/containers/${id}/logs?stdout=1`));
  if (bytes < outputBytes) throw new Error(`logs delivered ${bytes} of ${outputBytes} bytes`);
}
