//! What records can be about: the one catalogue. What is recorded of a kind that is not in it fails in every test.

use serde::Serialize;
use utoipa::ToSchema;

macro_rules! kinds {
    ($($variant:ident $name:literal;)+) => {
        /// What a record can be about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = AuditTargetType)]
        pub enum TargetKind { $($variant),+ }

        impl TargetKind {
            /// The whole catalogue, by name.
            pub const ALL: &'static [TargetKind] = &[$(TargetKind::$variant),+];

            /// As it stands in the log and in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(TargetKind::$variant => $name),+ }
            }
        }
    };
}

kinds! {
    AbacPolicy "abac_policy";
    DataSource "data_source";
    Device "device";
    Domain "domain";
    Execution "execution";
    File "file";
    FolderShare "folder_share";
    Glossary "glossary";
    Invitation "invitation";
    MfaMethod "mfa_method";
    OauthApplication "oauth_application";
    Organization "organization";
    PersonalAccessToken "personal_access_token";
    Policy "policy";
    Prompt "prompt";
    PromptSchedule "prompt_schedule";
    PromptTemplate "prompt_template";
    Query "query";
    Role "role";
    SamlKey "saml_key";
    ScimConfig "scim_config";
    ScimGroup "scim_group";
    SemanticEntry "semantic_entry";
    Session "session";
    SsoProvider "sso_provider";
    Upload "upload";
    User "user";
    UserImport "user_import";
    VerifiedPair "verified_pair";
    WebauthnCredential "webauthn_credential";
    Workspace "workspace";
}

impl TargetKind {
    /// Those that the log of an organization can have; the others are of an account alone.
    pub fn of_organizations() -> impl Iterator<Item = TargetKind> {
        let is_of_account = |kind: &TargetKind| matches!(kind, Self::MfaMethod | Self::WebauthnCredential);
        Self::ALL.iter().copied().filter(move |kind| !is_of_account(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_and_has_one_name_for_each() {
        assert!(TargetKind::ALL.is_sorted_by_key(|kind| kind.as_str()));
        for kind in TargetKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
