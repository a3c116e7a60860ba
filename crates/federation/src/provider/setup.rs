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

/// Show what to enter where, to connect an identity provider
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
            "In Okta's Admin Console open Applications, Create App Integration, OIDC - OpenID Connect, Web Application.",
            "Enter both redirect addresses, leave the grant type at Authorization Code, and assign the people or groups.",
            "On the tab Sign On add a groups claim named `groups` to the ID token, with the groups that shall come.",
            "Copy the client ID, the client secret, and as issuer the address of your Okta domain.",
        ],
        SsoVendor::Entra => &[
            "In the Entra admin center open App registrations, New registration, accounts in this directory only.",
            "Enter both redirect addresses under the platform Web, and make a client secret under Certificates & secrets.",
            "Under Token configuration add the optional claims `email` and `xms_edov` to the ID token, and the claim `groups`.",
            "The issuer is https://login.microsoftonline.com/<directory ID>/v2.0; the client ID is the application's.",
            "Entra sends no group names but their object IDs, and none at all to people in more than 200: assign groups to the application and let it send those alone.",
        ],
        SsoVendor::Google => &[
            "In the Google Cloud console open APIs & Services, Credentials, Create credentials, OAuth client ID, Web application; set the audience to Internal.",
            "Enter both redirect addresses, and copy the client ID and the client secret.",
            "Google tells no groups by OpenID Connect; use SAML, or SCIM, if roles shall follow them.",
        ],
        SsoVendor::Keycloak => &[
            "In the realm open Clients, Create client, OpenID Connect, with Client authentication on and Standard flow alone.",
            "Enter both redirect addresses, and copy the client secret from the tab Credentials.",
            "For groups add a mapper of the type Group Membership to the client's dedicated scope, with the claim name `groups` and without the full path.",
            "Keycloak says `email_verified: false` of people whom nobody has verified; they cannot sign in for the first time until it is true.",
            "The issuer is the address of the realm: https://<host>/realms/<realm>.",
        ],
        SsoVendor::GenericOidc => &[
            "Register a confidential web application for the authorization code flow with PKCE, with both redirect addresses.",
            "Copy the issuer as its discovery document spells it, the client ID and the client secret.",
            "The provider must send `email` and `email_verified: true`; its attribute mapping can name another claim.",
        ],
        SsoVendor::GenericSaml => &[
            "Register the provider here first, by the address of its metadata, or by the document itself.",
            "Then let it load ours, or enter our entity ID, ACS address and logout address: what is registered shows them on its page in the console, and its metadata in JSON has them.",
            "The provider must sign its assertions with SHA-2, and send a NameID that stays: persistent, or an e-mail address.",
        ],
    };
    let last = [
        "Register the provider with these values; inactive, so that nobody signs in through it yet.",
        "Prove the mail domain of your people under the organization's domains, if that is not done.",
        "Test what the provider says of itself, which signs nobody in; then try a sign-in, which goes the whole way and shows what would happen.",
        "Switch the provider on, which makes it active.",
    ];
    let others: &[&'static str] = match vendor {
        SsoVendor::GenericSaml => &[],
        _ => &[
            "If the organization has another OpenID provider: enter the redirect addresses that the new one shows once it is registered, on its page in the console and in its metadata.",
        ],
    };
    let (registered, rest) = last.split_at(1);
    first.iter().chain(registered).chain(others).chain(rest).copied().collect()
}
