//! `GET /api/v1/sso/setup/{vendor}`: what to enter where, to connect an identity provider: the values of this server to paste
//! there, the values to bring back, and the steps in words.

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Kind;
use crate::{Federation, oidc};

/// Whose product the provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SsoVendor {
    Okta,
    Entra,
    Google,
    Keycloak,
    GenericOidc,
    GenericSaml,
}

/// The addresses of this server as a SAML service provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SamlAddresses {
    #[schema(examples("https://rivergen.acme.example/api/v1/sso/saml/metadata/7"))]
    pub entity_id: String,
    #[schema(examples("https://rivergen.acme.example/api/v1/sso/saml/acs/7"))]
    pub acs_url: String,
    #[schema(examples("https://rivergen.acme.example/api/v1/sso/saml/slo/7"))]
    pub slo_url: String,
    pub metadata_url: String,
}

impl SamlAddresses {
    pub(crate) fn of(federation: &Federation, id: SsoProviderId) -> Self {
        let public_url = federation.platform().public_url.trim_end_matches('/');
        let at = |what: &str| format!("{public_url}/api/v1/sso/saml/{what}/{id}");
        Self { entity_id: at("metadata"), acs_url: at("acs"), slo_url: at("slo"), metadata_url: at("metadata") }
    }
}

/// A value to enter at the provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetupValue {
    /// As the provider's own pages call the field.
    #[schema(examples("Sign-in redirect URIs"))]
    pub field: &'static str,
    #[schema(examples("https://rivergen.acme.example/api/v1/sso/oidc/callback"))]
    pub value: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SsoSetup {
    pub vendor: SsoVendor,
    pub provider_type: Kind,
    /// To be entered at the provider.
    pub values: Vec<SetupValue>,
    /// What `POST /api/v1/sso/providers` then takes, with `…` for what the provider tells.
    #[schema(value_type = Object)]
    pub provider: Map<String, Value>,
    pub steps: Vec<&'static str>,
    pub message: &'static str,
}

errors! { pub SetupErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, NotFound; }

/// Show what to enter where to connect an identity provider
#[utoipa::path(get, path = "/api/v1/sso/setup/{vendor}", tag = "sso",
    params(("vendor" = SsoVendor, Path, description = "Whose product the provider is")),
    responses((status = 200, description = "The values and the steps", body = Envelope<SsoSetup>), SetupErrors))]
pub async fn get_setup(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Path(vendor): Path<SsoVendor>,
) -> Result<Reply<SsoSetup>> {
    let tenant = caller.require(Permission::SsoRead)?;
    let message = "How to connect the identity provider.";
    let provider_type = match vendor {
        SsoVendor::GenericSaml => Kind::Saml,
        _ => Kind::Oidc,
    };
    let setup = SsoSetup {
        vendor,
        provider_type,
        values: values(&federation, vendor, tenant.organization_id()),
        provider: provider(vendor),
        steps: steps(vendor),
        message,
    };
    Ok(Reply::ok(setup, message))
}

/// Each under the name that the vendor's administrators read.
fn values(federation: &Federation, vendor: SsoVendor, organization: OrganizationId) -> Vec<SetupValue> {
    let redirect = match vendor {
        SsoVendor::Okta => "Sign-in redirect URIs",
        SsoVendor::Entra => "Redirect URI (Web)",
        SsoVendor::Google => "Authorized redirect URIs",
        SsoVendor::Keycloak => "Valid redirect URIs",
        SsoVendor::GenericOidc => "Redirect URI",
        // The addresses have the provider's number in them.
        SsoVendor::GenericSaml => return Vec::new(),
    };
    // Which of the two is used depends on whether the provider names itself in its answers. A second provider that does not
    // has one of its own, which its metadata tells.
    [oidc::redirect_uri(federation), oidc::redirect_uri_of_organization(federation, organization)]
        .map(|value| SetupValue { field: redirect, value })
        .into()
}

fn provider(vendor: SsoVendor) -> Map<String, Value> {
    let of_oidc = |name: &str, issuer: &str, more: Value| {
        let mut all = json!({"provider_type": "oidc", "name": name, "issuer": issuer, "client_id": "…",
            "client_secret": "…", "scopes": oidc::USUAL_SCOPES, "status": "inactive"});
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        all
    };
    let whole = match vendor {
        SsoVendor::Okta => of_oidc(
            "Okta",
            "https://….okta.com",
            json!({"scopes": ["openid", "profile", "email", "groups"], "attribute_mapping": {"groups": "groups"}}),
        ),
        SsoVendor::Entra => of_oidc(
            "Microsoft Entra ID",
            "https://login.microsoftonline.com/…/v2.0",
            json!({"attribute_mapping": {"email_verified": "xms_edov", "groups": "groups"}}),
        ),
        SsoVendor::Google => of_oidc("Google Workspace", "https://accounts.google.com", json!({})),
        SsoVendor::Keycloak => {
            of_oidc("Keycloak", "https://…/realms/…", json!({"attribute_mapping": {"groups": "groups"}}))
        }
        SsoVendor::GenericOidc => of_oidc("Single sign-on", "https://…", json!({})),
        SsoVendor::GenericSaml => json!({"provider_type": "saml", "name": "Single sign-on",
            "metadata_url": "https://…", "status": "inactive"}),
    };
    match whole {
        Value::Object(whole) => whole,
        _ => Map::new(),
    }
}

fn steps(vendor: SsoVendor) -> Vec<&'static str> {
    let first: &[&'static str] = match vendor {
        SsoVendor::Okta => &[
            "In Okta's Admin Console, open Applications, choose Create App Integration, then OIDC - OpenID Connect and \
             Web Application.",
            "Enter both redirect URIs, leave the grant type at Authorization Code, and assign people or groups.",
            "On the Sign On tab, add a groups claim named `groups` to the ID token, with the groups to send.",
            "Copy the client ID and the client secret. The issuer is the address of your Okta domain.",
        ],
        SsoVendor::Entra => &[
            "In the Entra admin center, open App registrations and choose New registration, for accounts in this \
             directory only.",
            "Enter both redirect URIs under the platform Web, and create a client secret under Certificates & secrets.",
            "Under Token configuration, add the optional claims `email` and `xms_edov` to the ID token, and the claim \
             `groups`.",
            "The issuer is https://login.microsoftonline.com/<directory ID>/v2.0; the client ID is the application's.",
            "Entra sends the object IDs of groups, not their names, and none at all for people in more than 200 \
             groups: assign groups to the application and have Entra send only those.",
        ],
        SsoVendor::Google => &[
            "In the Google Cloud console, open APIs & Services, Credentials, and choose Create credentials, OAuth \
             client ID, Web application; set the audience to Internal.",
            "Enter both redirect URIs, and copy the client ID and the client secret.",
            "Google does not send groups over OpenID Connect; use SAML or SCIM if roles should follow groups.",
        ],
        SsoVendor::Keycloak => &[
            "In the realm, open Clients and choose Create client, OpenID Connect, with Client authentication on and \
             only Standard flow enabled.",
            "Enter both redirect URIs, and copy the client secret from the Credentials tab.",
            "For groups, add a mapper of type Group Membership to the client's dedicated scope, with the claim name \
             `groups` and without the full path.",
            "Keycloak sends `email_verified: false` for people whose address nobody has verified; their first sign-in \
             fails until it is true.",
            "The issuer is the address of the realm: https://<host>/realms/<realm>.",
        ],
        SsoVendor::GenericOidc => &[
            "Register a confidential web application for the authorization code flow with PKCE, with both redirect \
             URIs.",
            "Copy the issuer exactly as its discovery document spells it, the client ID and the client secret.",
            "The provider must send `email` and `email_verified: true`; the attribute mapping can name other claims.",
        ],
        SsoVendor::GenericSaml => &[
            "Register the provider here first, with the address of its metadata or the document itself.",
            "Then have it load our metadata, or enter our entity ID, ACS URL and logout URL: the provider's page in \
             the console shows them, and so does its metadata in JSON.",
            "The provider must sign its assertions with SHA-2, and send a NameID that does not change: persistent, or \
             an e-mail address.",
        ],
    };
    let last = [
        "Register the provider with these values as inactive, so that nobody signs in through it yet.",
        "Verify your people's e-mail domain under the organization's domains, if it is not verified yet.",
        "Test the configuration, which signs nobody in; then try a full sign-in, which shows what would happen.",
        "Switch the provider on to make it active.",
    ];
    let others: &[&'static str] = match vendor {
        SsoVendor::GenericSaml => &[],
        _ => &[
            "If the organization has another OpenID provider, enter the redirect URIs that the new one shows once it \
             is registered: on its page in the console and in its metadata.",
        ],
    };
    let (registered, rest) = last.split_at(1);
    first.iter().chain(registered).chain(others).chain(rest).copied().collect()
}
