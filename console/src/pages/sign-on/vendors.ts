// The identity providers that the assistant knows by name.

export const VENDORS = [
    ["okta", "Okta"],
    ["entra", "Microsoft Entra ID"],
    ["google", "Google Workspace"],
    ["keycloak", "Keycloak"],
    ["generic-oidc", "Other (OpenID Connect)"],
    ["generic-saml", "Other (SAML 2.0)"],
] as const;

export type Vendor = (typeof VENDORS)[number][0];
