// The body of POST /networks/create: every field that API 1.51 knows, with the Go type that error texts name.
// Source: Engine API 1.51, NetworkCreateRequest.

import { bool, list, map, object, string } from "../schema.ts";

const str = string();
const stringMap = map(str);

export const createSchema = object("network.CreateRequest", {
  Name: str,
  CheckDuplicate: bool,
  Driver: str,
  Scope: str,
  EnableIPv4: bool,
  EnableIPv6: bool,
  IPAM: object("network.IPAM", {
    Driver: str,
    Options: stringMap,
    Config: list(
      object("network.IPAMConfig", { Subnet: str, IPRange: str, Gateway: str, AuxiliaryAddresses: stringMap }),
    ),
  }),
  Internal: bool,
  Attachable: bool,
  Ingress: bool,
  ConfigOnly: bool,
  ConfigFrom: object("network.ConfigReference", { Network: str }),
  Options: stringMap,
  Labels: stringMap,
});
