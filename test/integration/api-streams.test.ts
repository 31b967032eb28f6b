// Attach, exec and logs on real containers, seen by clients that misbehave. Needs root.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { WebSocket } from "ws";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

const both = "stream=1&stdin=1&stdout=1&stderr=1";

interface Hijacked {
  readonly socket: Socket;
  /** Everything received, head included. */
  text(): string;
  until(part: string): Promise<void>;
  ended(): Promise<void>;
}

function hijack(daemon: TestDaemon, path: string, body = "", early = ""): Hijacked {
  const socket = connect({ path: daemon.socket, allowHalfOpen: true });
  let text = "";
  let over = false;
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("end", () => (over = true));
  socket.on("close", () => (over = true));
  socket.on("error", () => {});
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}${early}`,
  );
  return {
    socket,
    text: () => text,
    until: (part) => until(() => text.includes(part)),
    ended: () => until(() => over),
  };
}

/** The payloads of all frames after the head. */
function payloadOf(text: string): string {
  const frames = text.slice(text.indexOf("\r\n\r\n") + 4);
  const payloads: string[] = [];
  for (let at = 0; at < frames.length; ) {
    const length = Buffer.from(frames.slice(at + 4, at + 8), "latin1").readUInt32BE();
    payloads.push(frames.slice(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return payloads.join("");
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`never true: ${done.toString()}`);
    await sleep(5);
  }
}

async function create(daemon: TestDaemon, config: object, start = true): Promise<string> {
  const made = await daemon.api("POST", "/containers/create", { Image: "busybox", ...config });
  assert.equal(made.status, 201, made.text);
  const { Id } = made.json as { readonly Id: string };
  if (start) assert.equal((await daemon.api("POST", `/containers/${Id}/start`)).status, 204);
  return Id;
}

async function statusOf(daemon: TestDaemon, id: string): Promise<string> {
  const { json } = await daemon.api("GET", `/containers/${id}/json`);
  return (json as { readonly State: { readonly Status: string } }).State.Status;
}

function descriptors(daemon: TestDaemon): number {
  return readdirSync(`/proc/${daemon.pid}/fd`).length;
}

test("bytes typed before the answer reach the process, and the end of stdin ends it", async () => {
  await using daemon = await startDaemon();
  const id = await create(daemon, { Cmd: ["cat"], OpenStdin: true, StdinOnce: true, AttachStdin: true });
  const client = hijack(daemon, `/containers/${id}/attach?${both}`, "", "early ");
  await client.until("\r\n\r\n");
  client.socket.end("late\n");
  await client.ended();
  assert.equal(payloadOf(client.text()), "early late\n");
  client.socket.destroy();
  assert.deepEqual((await daemon.api("POST", `/containers/${id}/wait`)).json, { StatusCode: 0 });
});

test("the detach keys leave a terminal's process running, and are announced", async () => {
  await using daemon = await startDaemon();
  const id = await create(daemon, { Cmd: ["cat"], OpenStdin: true, Tty: true });
  const client = hijack(daemon, `/containers/${id}/attach?${both}`);
  await client.until("\r\n\r\n");
  client.socket.write("hello\r");
  await client.until("hello\r\nhello\r\n");
  client.socket.write(Buffer.from([16, 17]));
  await client.ended();
  client.socket.destroy();
  assert.equal(await statusOf(daemon, id), "running");
  const events = await daemon.api("GET", `/events?since=1&until=${Math.floor(Date.now() / 1000) + 1}`);
  assert.match(events.text, /"Action":"detach"/);
});

test("a WebSocket attaches to a container", async () => {
  await using daemon = await startDaemon();
  const id = await create(daemon, { Cmd: ["cat"], OpenStdin: true });
  const socket = new WebSocket(`ws+unix:${daemon.socket}:/containers/${id}/attach/ws?${both}`);
  let seen = "";
  socket.on("message", (data: Buffer) => (seen += data.toString()));
  socket.on("open", () => socket.send("over the web\n"));
  await until(() => seen === "over the web\n");
  socket.terminate();
  assert.equal(await statusOf(daemon, id), "running");
});

test("exec's exit codes are docker's: 127 not found, 126 not executable, the command's own", async () => {
  await using daemon = await startDaemon();
  const id = await create(daemon, { Cmd: ["sleep", "1000"] });
  const notFound = await daemon.docker(["exec", id, "nope"]);
  assert.equal(notFound.code, 127, notFound.stdout + notFound.stderr);
  assert.match(notFound.stdout + notFound.stderr, /exec failed.*not found/);
  assert.equal((await daemon.docker(["exec", id, "/etc"])).code, 126);
  assert.equal((await daemon.docker(["exec", id, "sh", "-c", "exit 5"])).code, 5);
});

test("clients that vanish from attach, exec, logs, wait and events leave nothing in the daemon", async () => {
  await using daemon = await startDaemon();
  const id = await create(daemon, { Cmd: ["sh", "-c", "while true; do echo x; sleep 0.05; done"], OpenStdin: true });
  const leave = async (round: number): Promise<void> => {
    const made = await daemon.api("POST", `/containers/${id}/exec`, {
      Cmd: ["cat"],
      AttachStdin: true,
      AttachStdout: true,
    });
    const { Id: exec } = made.json as { readonly Id: string };
    const clients = [
      hijack(daemon, `/containers/${id}/attach?${both}`),
      hijack(daemon, `/containers/${id}/attach?stream=1&stdin=1`),
      hijack(daemon, `/exec/${exec}/start`, "{}"),
    ];
    for (const client of clients) await client.until("\r\n\r\n");
    const plain = ["GET", "POST", "GET"].map((method, i) => {
      const path = [`/containers/${id}/logs?follow=1&stdout=1`, `/containers/${id}/wait`, "/events"][i];
      const socket = connect({ path: daemon.socket });
      socket.on("error", () => {});
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: d\r\n\r\n`);
      return { socket, head: new Promise((resolve) => socket.once("data", resolve)) };
    });
    for (const { head } of plain) await head;
    for (const { socket } of [...clients, ...plain]) {
      if (round % 2 === 0) socket.destroy();
      else socket.end(() => socket.destroy());
    }
  };
  await leave(0);
  await sleep(1500);
  const before = descriptors(daemon);
  for (let round = 0; round < 12; round++) await leave(round);
  await until(() => descriptors(daemon) <= before + 2);
  assert.equal(await statusOf(daemon, id), "running");
});

test("a client that stops reading holds the process back, not the daemon", async () => {
  await using daemon = await startDaemon();
  const id = await create(
    daemon,
    { Cmd: ["sh", "-c", "sleep 0.3; yes | head -c 50000000"], AttachStdout: true },
    false,
  );
  const client = hijack(daemon, `/containers/${id}/attach?stream=1&stdout=1`);
  await client.until("\r\n\r\n");
  client.socket.pause();
  await daemon.api("POST", `/containers/${id}/start`);
  await sleep(1000);
  assert.equal((await daemon.api("GET", "/_ping")).text, "OK");
  client.socket.resume();
  await client.ended();
  client.socket.destroy();
  assert.equal(payloadOf(client.text()).length, 50_000_000);
});
