// The daemon's life: start in order, serve, reload on SIGHUP, and at SIGTERM or SIGINT stop in the reverse order.
// Containers go on: their shims hold them.

import { hostname } from "node:os";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Flags } from "../../base/flags.ts";
import { assemble } from "./assemble.ts";
import type { BuildInfo } from "./build-info.ts";
import { type DaemonConfig, resolveConfig } from "./config.ts";
import { planReload, reloadAttributes } from "./live-config.ts";
import { createLogger, type DaemonLogger } from "./logger.ts";
import { serveApi } from "./serve.ts";

/** Waits for the first signal that ends the daemon; a third one ends it at once. */
function waitForEnd(logger: DaemonLogger): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let count = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    count += 1;
    logger.info("Processing signal", { signal });
    if (count >= 3) {
      logger.warn("third signal: ending without an orderly stop; containers go on");
      process.exit(1);
    }
    resolve(signal);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return promise;
}

/** Whatever nobody foresaw ends the daemon: the store and the shims are made for that, and a supervisor starts it anew. */
function dieOnSurprise(logger: DaemonLogger): void {
  const die = (what: string, error: unknown): void => {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    logger.error(`${what}: ending; containers go on, start gantryd again`, { error: messageOf(error), stack });
    process.exit(70);
  };
  process.on("uncaughtException", (error) => die("unexpected error", error));
  process.on("unhandledRejection", (error) => die("unexpected rejection", error));
}

/**
 * Runs until a signal ends it.
 *
 * @returns the exit status: 0 after an orderly stop
 * @throws EngineError why it could not start; nothing is left behind
 */
export async function runDaemon(flags: Flags, initial: DaemonConfig, build: BuildInfo): Promise<number> {
  if (process.getuid?.() !== 0) throw new EngineError("Forbidden", "gantryd needs to be started with root privileges");
  // In the way of Node's own SIGUSR1, which would open a debugger to every local user.
  process.on("SIGUSR1", () => {});
  process.umask(0o022);
  const logger = createLogger(initial.logFormat, initial.logLevel);
  const live = { current: initial };
  await using stack = new AsyncDisposableStack();
  logger.info("Starting up", { version: build.version, pid: process.pid });
  const assembled = await assemble(live, build, logger, stack);
  dieOnSurprise(logger);
  const ended = waitForEnd(logger);
  const api = await serveApi(assembled.engine, live.current, build.version, logger);
  stack.defer(() => api.close(live.current.shutdownTimeoutSeconds * 1000));

  const reload = async (): Promise<void> => {
    const before = live.current;
    try {
      const { config, waiting } = planReload(live.current, resolveConfig(flags));
      live.current = config;
      await assembled.reprobe();
      logger.setLevel(config.logLevel);
      if (waiting.length > 0)
        logger.warn("some changes of the configuration wait for the next start", { directives: waiting.join(",") });
      logger.info("Reloaded configuration", reloadAttributes(config, hostname()));
      assembled.events.publish({
        type: "daemon",
        action: "reload",
        id: assembled.engineId,
        attributes: reloadAttributes(config, hostname()),
      });
    } catch (error) {
      live.current = before;
      logger.error("the configuration could not be reloaded; the old one stays", { error: messageOf(error) });
    }
  };
  process.on("SIGHUP", () => void reload());

  logger.info("Daemon has completed initialization");
  await ended;
  logger.info("Daemon shutdown: requests end, containers go on");
  return 0;
}
