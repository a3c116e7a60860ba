//! `GET /api/v1/roles/templates`: permission sets to start a custom role from. They are advice; a role that is made of one
//! does not change with it.

use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A ready-made permission set.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleTemplate {
    #[schema(examples("data_engineer"))]
    pub key: &'static str,
    #[schema(examples("Data Engineer"))]
    pub name: &'static str,
    pub description: &'static str,
    #[schema(value_type = Vec<String>, examples(json!(["datasource.read", "datasource.write"])))]
    pub permissions: &'static [Permission],
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleTemplates {
    pub templates: &'static [RoleTemplate],
}

errors! { pub TemplatesErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired; }

/// List ready-made permission sets to start a custom role from
#[utoipa::path(get, path = "/api/v1/roles/templates", tag = "roles",
    responses((status = 200, description = "The templates", body = Envelope<RoleTemplates>), TemplatesErrors))]
pub async fn list_role_templates(SignedIn(caller): SignedIn) -> Result<Reply<RoleTemplates>> {
    caller.require(Permission::RoleRead)?;
    Ok(Reply::ok(RoleTemplates { templates: TEMPLATES }, "Permission sets to start from."))
}

use Permission::*;

const TEMPLATES: &[RoleTemplate] = &[
    RoleTemplate {
        key: "data_engineer",
        name: "Data Engineer",
        description: "Connects and maintains sources and files, and works with them.",
        permissions: &[
            OrganizationRead,
            MemberRead,
            WorkspaceRead,
            DataSourceRead,
            DataSourceQuery,
            DataSourceWrite,
            DataSourceDelete,
            StorageRead,
            StorageWrite,
            StorageDelete,
            PolicyRead,
            PromptRead,
            PromptExecute,
            PromptWrite,
        ],
    },
    RoleTemplate {
        key: "data_analyst",
        name: "Data Analyst",
        description: "Asks questions about the data, subject to the policies, and saves the good ones.",
        permissions: &[
            OrganizationRead,
            DataSourceRead,
            DataSourceQuery,
            StorageRead,
            StorageWrite,
            PromptRead,
            PromptExecute,
            PromptWrite,
        ],
    },
    RoleTemplate {
        key: "data_steward",
        name: "Data Steward",
        description: "Decides who may see which data: writes policies and sees their activity.",
        permissions: &[
            OrganizationRead,
            MemberRead,
            UserRead,
            RoleRead,
            WorkspaceRead,
            DataSourceRead,
            DataSourceQuery,
            PolicyRead,
            PolicyWrite,
            PolicyDelete,
            PromptRead,
            AuditRead,
        ],
    },
    RoleTemplate {
        key: "security_auditor",
        name: "Security Auditor",
        description: "Sees who may do what and who did what; cannot change or query anything.",
        permissions: &[
            OrganizationRead,
            MemberRead,
            UserRead,
            RoleRead,
            WorkspaceRead,
            SsoRead,
            TokenRead,
            OauthAppRead,
            SessionRead,
            DeviceRead,
            DataSourceRead,
            PolicyRead,
            AuditRead,
        ],
    },
    RoleTemplate {
        key: "billing_viewer",
        name: "Billing Viewer",
        description: "Sees the organization's plan and what counts towards it: people and workspaces.",
        permissions: &[OrganizationRead, MemberRead, WorkspaceRead],
    },
];

#[cfg(test)]
mod tests {
    use rivergen_kernel::{BuiltInRole, PermissionSet};

    use super::*;

    #[test]
    fn a_template_gives_what_an_admin_holds_and_nothing_twice() {
        for template in TEMPLATES {
            let set: PermissionSet = template.permissions.iter().copied().collect();
            assert_eq!(set.len(), template.permissions.len(), "{}", template.key);
            assert!(set.is_subset(&BuiltInRole::Admin.permissions()), "{}", template.key);
            assert_eq!(template.key, template.name.to_lowercase().replace(' ', "_"));
        }
    }

    #[test]
    fn an_auditor_changes_nothing() {
        let auditor = TEMPLATES.iter().find(|template| template.key == "security_auditor").unwrap();
        assert!(auditor.permissions.iter().all(|permission| permission.as_str().ends_with(".read")));
    }
}
