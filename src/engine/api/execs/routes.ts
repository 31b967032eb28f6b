// /containers/{id}/exec and /exec: create, start (hijacked), resize, inspect.

import { isEngineError, messageOf } from "../../../base/errors.ts";
import { parseResize } from "../containers/parse.ts";
import { parseDetachKeys } from "../detach-keys.ts";
import { type Exchange, param, sendEmpty, sendJson } from "../exchange.ts";
import { endPolitely, pump, streamContentType, takeOver } from "../hijack.ts";
import type { AttachSession, ContainersPort, Engine, ExecInspect, ExecsPort } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { renderFrame } from "../stdcopy.ts";
import { parseCreateExec, parseStartExec, type StartExecRequest } from "./parse.ts";

export function execRoutes(engine: Engine): readonly Route[] {
  const { containers, execs } = engine;
  return [
    route("POST", "/containers/{id}/exec", (exchange) => create(exchange, containers, execs)),
    route("POST", "/exec/{id}/start", (exchange) => start(exchange, execs)),
    route("POST", "/exec/{id}/resize", async (exchange) => {
      const { height, width } = parseResize(exchange.query);
      await execs.resize(execs.resolve(param(exchange, "id")), height, width);
      sendEmpty(exchange, 200);
    }),
    route("GET", "/exec/{id}/json", async (exchange) => {
      sendJson(exchange, 200, renderExec(await execs.inspect(execs.resolve(param(exchange, "id")))));
    }),
  ];
}

/** As dockerd writes it: no user where none was named, and the keys' codes in base64. */
function renderExec(exec: ExecInspect): unknown {
  const { user, ...process } = exec.ProcessConfig;
  return {
    ...exec,
    ProcessConfig: user === "" ? process : { ...process, user },
    DetachKeys: exec.DetachKeys === "" ? "" : parseDetachKeys(exec.DetachKeys).toString("base64"),
  };
}

async function create(exchange: Exchange, containers: ContainersPort, execs: ExecsPort): Promise<void> {
  const request = await parseCreateExec(exchange);
  const { id } = await execs.create(containers.resolve(param(exchange, "id")), request);
  sendJson(exchange, 201, { Id: id });
}

async function start(exchange: Exchange, execs: ExecsPort): Promise<void> {
  const request = await parseStartExec(exchange);
  const id = execs.resolve(param(exchange, "id"));
  if (request.detach) {
    await execs.start(id, request, exchange.signal);
    sendEmpty(exchange, 200);
    return;
  }
  const detachKeys = parseDetachKeys((await execs.inspect(id)).DetachKeys);
  let session: AttachSession | undefined;
  try {
    session = await execs.start(id, request, exchange.signal);
  } catch (error) {
    if (!isEngineError(error) || exchange.signal.aborted) throw error;
    showFailure(exchange, request, error);
    return;
  }
  if (session === undefined) {
    sendEmpty(exchange, 200);
    return;
  }
  if (exchange.signal.aborted) {
    session.detach(false);
    session.duplex.destroy();
    return;
  }
  const { connection, early } = takeOver(exchange, streamContentType(session.tty, exchange), exchange.commonHeaders);
  await pump(connection, session, {
    early,
    output: session.duplex,
    detachKeys: session.tty ? detachKeys : undefined,
    stdin: true,
    signal: exchange.draining,
    log: exchange.log,
  });
}

/**
 * An attached start that fails is answered like one that succeeds, with the message as its output: the docker CLI shows no
 * body of a refused upgrade, and takes the exit code (126, 127) from the exec's inspect. dockerd does the same.
 */
function showFailure(exchange: Exchange, request: StartExecRequest, error: Error): void {
  const text = `${messageOf(error)}\r\n`;
  const { connection } = takeOver(exchange, streamContentType(request.tty, exchange), exchange.commonHeaders);
  endPolitely(connection, request.tty ? text : renderFrame(1, text));
}
