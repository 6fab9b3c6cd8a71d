// The gate as an OAuth protected resource: what an agent that was refused needs to log in (RFC 9728, as MCP's authorization has
// it).
//
// Metadata names the authorization servers; a challenge says where the metadata is. Neither decides anything: who gets in is
// the issuers' matter, whose audience the resource's URL is (RFC 8707).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config_reader.h"
#include "credential_settings.h"
#include "postern/request.h"
#include "postern/step.h"

namespace postern {

struct ResourceSettings {
  std::string url;            // RFC 8707: what clients ask tokens for; as written
  std::string metadata_path;  // "/.well-known/oauth-protected-resource" and the path of `url` (RFC 9728 section 3.1)
  std::string metadata_url;   // the same, absolute
  std::string metadata;       // RFC 9728 section 2: JSON
};

// Reads `resource`. An issuer or introspection without an audience of its own takes the resource's URL; one whose audience is
// another is a fault, unless `unbound_audience_allowed` is said. None: the gate is no resource, and nothing changes.
void parse_resource(ConfigReader& top, std::vector<IssuerSettings>& issuers, CredentialSettings& credentials,
                    std::optional<ResourceSettings>& out);

// The answer to a request for the metadata, which needs no credential and may be read by pages of every origin; nothing for any
// other request.
[[nodiscard]] std::optional<Respond> metadata_reply(const ResourceSettings& resource, const RequestHead& head);

// Adds to a refusal's challenges where the metadata is (RFC 9728 section 5.1).
void add_metadata_url(const ResourceSettings& resource, Respond& refusal);

}  // namespace postern
