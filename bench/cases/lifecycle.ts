// create + start + wait + remove on the bridge, exec, and twenty starts at once.

import { type Api, drain } from "../api.ts";

const quick = { Image: "busybox", Cmd: ["true"] };
const idle = { Image: "busybox", Cmd: ["sleep", "100000"] };

interface Created {
  readonly Id: string;
}

export async function createIdle(api: Api): Promise<string> {
  const { Id } = await api.json<Created>("POST", "/containers/create", idle);
  return Id;
}

export async function remove(api: Api, id: string): Promise<void> {
  await api.text("DELETE", `/containers/${id}?force=1`);
}

/** One whole life of a container that does nothing. */
export async function life(api: Api): Promise<void> {
  const { Id } = await api.json<Created>("POST", "/containers/create", quick);
  // The condition is watched before the start, as `docker run` does it.
  const waiting = await api.open("POST", `/containers/${Id}/wait?condition=next-exit`);
  await api.text("POST", `/containers/${Id}/start`);
  waiting.setEncoding("utf8");
  let body = "";
  for await (const chunk of waiting) body += chunk;
  const { StatusCode } = JSON.parse(body) as { StatusCode: number };
  if (StatusCode !== 0) throw new Error(`the container ended with ${StatusCode}`);
  await api.text("DELETE", `/containers/${Id}`);
}

/** An exec of `true`, attached, up to its exit code. */
export async function exec(api: Api, container: string): Promise<void> {
  const { Id } = await api.json<Created>("POST", `/containers/${container}/exec`, {
    Cmd: ["true"],
    AttachStdout: true,
    AttachStderr: true,
  });
  await drain(await api.hijack(`/exec/${Id}/start`, { Detach: false, Tty: false }));
  const { ExitCode } = await api.json<{ ExitCode: number }>("GET", `/exec/${Id}/json`);
  if (ExitCode !== 0) throw new Error(`the exec ended with ${ExitCode}`);
}

/** Starts all given containers at the same moment. */
export async function startAll(api: Api, ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map((id) => api.text("POST", `/containers/${id}/start`)));
}
