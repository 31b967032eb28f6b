// GET of a file that a user names by its URL, for docker import: over the client's own connections, proxies and certificates.

import { readChunks, readErrorBody } from "./body.ts";
import { EngineError, type ErrorKind } from "../base/errors.ts";
import type { DistributionConfig, Download } from "./index.ts";
import { sendFollowing } from "./redirect.ts";
import { noCertificateFiles, readCertificateFiles } from "./tls-files.ts";
import { type Answer, headerOf, type Transport, type Trust } from "./transport.ts";

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: "InvalidParameter",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
};

/** See Distribution.download. */
export async function download(
  deps: { readonly transport: Transport; readonly config: DistributionConfig },
  text: string,
  signal: AbortSignal,
): Promise<Download> {
  const { transport, config } = deps;
  const { url, authorization } = parseUrl(text);
  const trustOf = (to: URL): Trust => ({
    insecure: false,
    files: to.protocol === "https:" ? readCertificateFiles(config.certsDirectories, to.host) : noCertificateFiles,
  });
  const answer = await sendFollowing(
    transport,
    {
      method: "GET",
      url,
      headers: { "user-agent": config.userAgent, ...(authorization === undefined ? {} : { authorization }) },
      trust: trustOf(url),
      proxies: config,
      publicOnly: false,
      timeoutMs: config.stallTimeoutMs,
      signal,
    },
    false,
    trustOf,
  );
  if (answer.status !== 200) throw await refusal(answer, url, config.stallTimeoutMs);
  const length = headerOf(answer, "content-length");
  return {
    url: url.href,
    sizeBytes: /^\d{1,15}$/.test(length) ? Number(length) : undefined,
    chunks: readChunks(asStored(answer), Number.MAX_SAFE_INTEGER, config.stallTimeoutMs),
  };
}

/** A URL without a scheme is one of http. @throws InvalidParameter none, or neither http nor https */
function parseUrl(text: string): { readonly url: URL; readonly authorization: string | undefined } {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(whole))
    throw new EngineError("InvalidParameter", `invalid URL ${JSON.stringify(text.slice(0, 512))}`);
  const url = new URL(whole);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new EngineError(
      "InvalidParameter",
      `Get ${JSON.stringify(url.href)}: unsupported protocol scheme ${JSON.stringify(url.protocol.slice(0, -1))}`,
    );
  const credentials = `${decoded(url.username)}:${decoded(url.password)}`;
  const hasUser = url.username !== "";
  url.username = "";
  url.password = "";
  url.hash = "";
  const authorization = hasUser ? `Basic ${Buffer.from(credentials).toString("base64")}` : undefined;
  return { url, authorization };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new EngineError("InvalidParameter", "invalid escape in the credentials of the URL");
  }
}

/** Servers call a file that is compressed on their disk encoded: it is the file that was asked for. */
function asStored(answer: Answer): Answer {
  if (!/^(?:x-)?gzip$/i.test(headerOf(answer, "content-encoding"))) return answer;
  return { ...answer, headers: { ...answer.headers, "content-encoding": undefined } };
}

async function refusal(answer: Answer, url: URL, stallMs: number): Promise<EngineError> {
  const body = (await readErrorBody(answer, stallMs)).toString().trim();
  const status = `${answer.status} ${answer.statusText}`.trim();
  const message = `failed to GET ${url.href} with status ${status}${body === "" ? "" : `: ${body.slice(0, 4096)}`}`;
  return new EngineError(kinds[answer.status] ?? "Unavailable", message);
}
