// The services of a session, announced and served.

import { createHash, randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { silentLogger } from "../../base/log.ts";
import {
  codes,
  firstValue,
  type GrpcConnection,
  GrpcError,
  implement,
  serveGrpc,
  type Implementation,
} from "../../grpc/index.ts";
import { Health, servingStatuses } from "../../spec/buildkit/health.ts";
import { Auth, FileSend, FileSendTree, FileSync, Secrets, SSH, Upload } from "../../spec/buildkit/session.ts";
import { contentMethods, contentService } from "./content.ts";
import { agentOf, forwardAgent, receiveOutput, receiveStream, serveDirectory, serveUpload } from "./handlers.ts";
import type { ClientSession, SessionOffer, SessionOutput } from "./index.ts";

const methods = [
  Health.methods.Check,
  FileSync.methods.DiffCopy,
  FileSend.methods.DiffCopy,
  Secrets.methods.GetSecret,
  SSH.methods.CheckAgent,
  SSH.methods.ForwardAgent,
  Auth.methods.Credentials,
  Upload.methods.Pull,
  ...contentMethods,
] as const;

/** @param directory that is built from, as an absolute path: by it the daemon finds what it has kept of it */
export function createClientSession(offer: SessionOffer, directory: string): ClientSession {
  const id = randomBytes(13).toString("hex").slice(0, 25);
  const sharedKey = createHash("sha256").update(`${hostname()}\0${directory}`).digest("hex");
  let connection: GrpcConnection | undefined;
  return {
    id,
    headers: [
      ["X-Docker-Expose-Session-Uuid", id],
      ["X-Docker-Expose-Session-Name", ""],
      ["X-Docker-Expose-Session-Sharedkey", sharedKey],
      ...methods.map(({ path }) => ["X-Docker-Expose-Session-Grpc-Method", path] as const),
    ],
    async serve(stream) {
      connection = serveGrpc(stream, implementationsOf(offer), { logger: silentLogger });
      await connection.closed;
    },
    close: () => connection?.close(),
  };
}

function implementationsOf(offer: SessionOffer): readonly Implementation[] {
  return [
    implement(Health, { Check: async () => ({ status: servingStatuses.serving }) }),
    implement(FileSync, { DiffCopy: (packets, call) => serveDirectory(offer, packets, call) }),
    implement(Secrets, {
      async GetSecret({ ID }) {
        const data = await offer.secret(ID);
        if (data === undefined) throw new GrpcError(codes.notFound, `secret ${ID} not found`);
        return { data };
      },
    }),
    implement(SSH, {
      async CheckAgent({ ID }) {
        (await agentOf(offer, ID)).destroy();
        return {};
      },
      ForwardAgent: (messages, call) => forwardAgent(offer, messages, call),
    }),
    implement(Auth, {
      async Credentials({ Host }) {
        const found = await offer.credentials(Host === "registry-1.docker.io" ? "https://index.docker.io/v1/" : Host);
        return { Username: found?.username ?? "", Secret: found?.secret ?? "" };
      },
    }),
    implement(Upload, { Pull: (_messages, call) => serveUpload(offer, call) }),
    contentService(offer.stores),
    outputs(offer),
  ];
}

/** One method with two kinds of messages: the output's kind decides. */
function outputs(offer: SessionOffer): Implementation {
  return {
    name: FileSend.name,
    answer(method, stream, call) {
      const id = firstValue(call.metadata, "buildkit-attachable-exporter-id") ?? "0";
      const output: SessionOutput | undefined = offer.outputs.get(Number(id));
      if (output === undefined) throw new GrpcError(codes.notFound, `no output ${id}`);
      const implementation =
        output.kind === "stream"
          ? implement(FileSend, { DiffCopy: (messages, call) => receiveStream(output, messages, call) })
          : implement(FileSendTree, { DiffCopy: (packets) => receiveOutput(output, packets) });
      return implementation.answer(method, stream, call);
    },
  };
}
