// What a client of a session offers: files, credentials, secrets, an agent, places for outputs, uploads.
// Source: BuildKit's API, packages moby.filesync.v1, moby.buildkit.secrets.v1, moby.sshforward.v1, moby.upload.v1.

import { bytes, field, int, mapOf, message, repeated, string } from "../../grpc/message.ts";
import { bidi, service, unary } from "../../grpc/service.ts";
import { Packet } from "./fsutil.ts";

/** A part of a stream of bytes. */
export const BytesMessage = message("moby.filesync.v1.BytesMessage", { data: field(1, bytes) });

export const FileSync = service("moby.filesync.v1.FileSync", { DiffCopy: bidi(Packet, Packet) });
/** An output as one stream. */
export const FileSend = service("moby.filesync.v1.FileSend", { DiffCopy: bidi(BytesMessage, BytesMessage) });
/** An output as a tree: the same method, spoken as FileSync with the roles changed. */
export const FileSendTree = service("moby.filesync.v1.FileSend", { DiffCopy: bidi(Packet, Packet) });

export const CredentialsRequest = message("moby.filesync.v1.CredentialsRequest", { Host: field(1, string) });
export const CredentialsResponse = message("moby.filesync.v1.CredentialsResponse", {
  Username: field(1, string),
  Secret: field(2, string),
});
export const FetchTokenRequest = message("moby.filesync.v1.FetchTokenRequest", {
  ClientID: field(1, string),
  Host: field(2, string),
  Realm: field(3, string),
  Service: field(4, string),
  Scopes: repeated(5, string),
});
/** Times in seconds. */
export const FetchTokenResponse = message("moby.filesync.v1.FetchTokenResponse", {
  Token: field(1, string),
  ExpiresIn: field(2, int),
  IssuedAt: field(3, int),
});
export const GetTokenAuthorityRequest = message("moby.filesync.v1.GetTokenAuthorityRequest", {
  Host: field(1, string),
  Salt: field(2, bytes),
});
export const GetTokenAuthorityResponse = message("moby.filesync.v1.GetTokenAuthorityResponse", {
  PublicKey: field(1, bytes),
});
export const VerifyTokenAuthorityRequest = message("moby.filesync.v1.VerifyTokenAuthorityRequest", {
  Host: field(1, string),
  Payload: field(2, bytes),
  Salt: field(3, bytes),
});
export const VerifyTokenAuthorityResponse = message("moby.filesync.v1.VerifyTokenAuthorityResponse", {
  Signed: field(1, bytes),
});
export const Auth = service("moby.filesync.v1.Auth", {
  Credentials: unary(CredentialsRequest, CredentialsResponse),
  FetchToken: unary(FetchTokenRequest, FetchTokenResponse),
  GetTokenAuthority: unary(GetTokenAuthorityRequest, GetTokenAuthorityResponse),
  VerifyTokenAuthority: unary(VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse),
});

export const GetSecretRequest = message("moby.buildkit.secrets.v1.GetSecretRequest", {
  ID: field(1, string),
  annotations: mapOf(2, string),
});
export const GetSecretResponse = message("moby.buildkit.secrets.v1.GetSecretResponse", { data: field(1, bytes) });
export const Secrets = service("moby.buildkit.secrets.v1.Secrets", {
  GetSecret: unary(GetSecretRequest, GetSecretResponse),
});

export const CheckAgentRequest = message("moby.sshforward.v1.CheckAgentRequest", { ID: field(1, string) });
export const CheckAgentResponse = message("moby.sshforward.v1.CheckAgentResponse", {});
const AgentBytes = message("moby.sshforward.v1.BytesMessage", { data: field(1, bytes) });
export const SSH = service("moby.sshforward.v1.SSH", {
  CheckAgent: unary(CheckAgentRequest, CheckAgentResponse),
  ForwardAgent: bidi(AgentBytes, AgentBytes),
});

const UploadBytes = message("moby.upload.v1.BytesMessage", { data: field(1, bytes) });
export const Upload = service("moby.upload.v1.Upload", { Pull: bidi(UploadBytes, UploadBytes) });
