//! The attributes of users and groups (RFC 7643): one definition, which `/Schemas` shows and everything else goes by.
//!
//! A password is not among them: people who are pushed sign in with their identity provider.

use std::sync::LazyLock;

use serde_json::{Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
pub const SERVICE_PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boolean,
    Integer,
    Time,
    Reference,
    Binary,
    Complex,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Time => "dateTime",
            Self::Reference => "reference",
            Self::Binary => "binary",
            Self::Complex => "complex",
        }
    }
}

/// Who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    ReadWrite,
    ReadOnly,
    Immutable,
}

/// Whether it can be left out of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    Default,
    Always,
}

/// One attribute, or a part of a complex one.
#[derive(Debug)]
pub struct Attribute {
    pub name: &'static str,
    pub kind: Kind,
    pub is_multi_valued: bool,
    description: &'static str,
    is_required: bool,
    pub case_exact: bool,
    pub mutability: Mutability,
    pub returned: Returned,
    is_unique: bool,
    canonical: &'static [&'static str],
    references: &'static [&'static str],
    pub parts: Vec<Attribute>,
}

impl Attribute {
    fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            is_multi_valued: false,
            description,
            is_required: false,
            case_exact: matches!(kind, Kind::Reference | Kind::Binary),
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            is_unique: false,
            canonical: &[],
            references: &[],
            parts: Vec::new(),
        }
    }

    fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    fn unique(self) -> Self {
        Self { is_unique: true, ..self }
    }

    fn case_exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }

    fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }

    fn always(self) -> Self {
        Self { returned: Returned::Always, ..self }
    }

    fn many(self) -> Self {
        Self { is_multi_valued: true, ..self }
    }

    fn canonical(self, canonical: &'static [&'static str]) -> Self {
        Self { canonical, ..self }
    }

    fn to(self, references: &'static [&'static str]) -> Self {
        Self { references, ..self }
    }

    /// The part of this name, whatever its case.
    pub fn part(&self, name: &str) -> Option<&Attribute> {
        self.parts.iter().find(|part| part.name.eq_ignore_ascii_case(name))
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "name": self.name,
            "type": self.kind.name(),
            "multiValued": self.is_multi_valued,
            "description": self.description,
            "required": self.is_required,
            "mutability": match self.mutability {
                Mutability::ReadWrite => "readWrite",
                Mutability::ReadOnly => "readOnly",
                Mutability::Immutable => "immutable",
            },
            "returned": match self.returned {
                Returned::Default => "default",
                Returned::Always => "always",
            },
            "uniqueness": if self.is_unique { "server" } else { "none" },
        });
        if self.kind != Kind::Boolean && self.kind != Kind::Complex {
            document["caseExact"] = self.case_exact.into();
        }
        if !self.canonical.is_empty() {
            document["canonicalValues"] = json!(self.canonical);
        }
        if !self.references.is_empty() {
            document["referenceTypes"] = json!(self.references);
        }
        if !self.parts.is_empty() {
            document["subAttributes"] = self.parts.iter().map(Self::document).collect();
        }
        document
    }
}

/// A set of attributes under one URN.
#[derive(Debug)]
pub struct Schema {
    pub id: &'static str,
    pub name: &'static str,
    description: &'static str,
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// The attribute of this name, whatever its case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// As `/Schemas/{id}` shows it.
    pub fn document(&self, base: &str) -> Value {
        json!({
            "schemas": [SCHEMA],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes.iter().map(Attribute::document).collect::<Vec<_>>(),
            "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.id)},
        })
    }
}

/// What there is at an endpoint.
#[derive(Debug)]
pub struct ResourceType {
    pub name: &'static str,
    pub endpoint: &'static str,
    description: &'static str,
    pub schema: &'static LazyLock<Schema>,
    pub extension: Option<&'static LazyLock<Schema>>,
}

pub static USERS: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "A member of the organization.",
    schema: &USER_SCHEMA,
    extension: Some(&ENTERPRISE_SCHEMA),
};

pub static GROUPS: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "A group of members; it may stand for a role.",
    schema: &GROUP_SCHEMA,
    extension: None,
};

impl ResourceType {
    /// As `/ResourceTypes/{id}` shows it.
    pub fn document(&self, base: &str) -> Value {
        let extensions = self.extension.iter().map(|extension| json!({"schema": extension.id, "required": false}));
        json!({
            "schemas": [RESOURCE_TYPE],
            "id": self.name,
            "name": self.name,
            "endpoint": self.endpoint,
            "description": self.description,
            "schema": self.schema.id,
            "schemaExtensions": extensions.collect::<Vec<_>>(),
            "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", self.name)},
        })
    }

    /// The extension, if this is its URN.
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        let extension: &'static Schema = self.extension?;
        extension.id.eq_ignore_ascii_case(urn).then_some(extension)
    }

    /// What a path means.
    pub fn resolve(&self, urn: Option<&str>, name: &str, part: Option<&str>) -> Option<Place> {
        let (extension, attribute) = match urn {
            Some(urn) if !self.schema.id.eq_ignore_ascii_case(urn) => {
                let extension = self.extension(urn)?;
                (Some(extension), extension.attribute(name)?)
            }
            _ => {
                let schema: &'static Schema = self.schema;
                (None, schema.attribute(name).or_else(|| COMMON.attribute(name))?)
            }
        };
        let part = match part {
            Some(part) => Some(attribute.part(part)?),
            None => None,
        };
        Some(Place { extension, attribute, part })
    }

    /// What a path means that is written as text, without a filter: `name.givenName`, `urn:…:User:department`.
    pub fn resolve_text(&self, path: &str) -> Option<Place> {
        let (urn, rest) = match path.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, path),
        };
        let (name, part) = match rest.split_once('.') {
            Some((name, part)) => (name, Some(part)),
            None => (rest, None),
        };
        self.resolve(urn, name, part)
    }
}

/// Where a value stands in a resource.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub extension: Option<&'static Schema>,
    pub attribute: &'static Attribute,
    pub part: Option<&'static Attribute>,
}

impl Place {
    /// What is found there.
    pub fn leaf(&self) -> &'static Attribute {
        self.part.unwrap_or(self.attribute)
    }
}

fn text(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Kind::Text, description)
}

fn complex(name: &'static str, description: &'static str, parts: Vec<Attribute>) -> Attribute {
    Attribute { parts, ..Attribute::new(name, Kind::Complex, description) }
}

/// The usual parts of a value of which there may be many.
fn values(
    name: &'static str,
    description: &'static str,
    value: Attribute,
    types: &'static [&'static str],
) -> Attribute {
    let parts = vec![
        value,
        text("display", "What to show for it."),
        text("type", "What it is for.").canonical(types),
        Attribute::new("primary", Kind::Boolean, "Whether it is the preferred one; at most one is."),
    ];
    complex(name, description, parts).many()
}

/// What every resource has; `/Schemas` leaves it out (RFC 7643, section 3.1).
static COMMON: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: "",
    name: "Common",
    description: "",
    attributes: vec![
        text("id", "The server's own name for it.").case_exact().read_only().always(),
        text("externalId", "The identity provider's name for it.").case_exact(),
        Attribute::new("schemas", Kind::Reference, "The schemas that it has.").many().read_only().always(),
        complex(
            "meta",
            "What is known of it.",
            vec![
                text("resourceType", "What it is.").case_exact().read_only(),
                Attribute::new("created", Kind::Time, "When it was made.").read_only(),
                Attribute::new("lastModified", Kind::Time, "When it was changed.").read_only(),
                Attribute::new("location", Kind::Reference, "Where it is.").read_only(),
                text("version", "Its entity tag.").case_exact().read_only(),
            ],
        )
        .read_only(),
    ],
});

static USER_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: USER,
    name: "User",
    description: "User Account",
    attributes: vec![
        text("userName", "What the person signs in with: a mail address, or any name beside a primary one in emails.")
            .required()
            .unique()
            .always(),
        complex(
            "name",
            "The parts of the person's name.",
            vec![
                text("formatted", "The whole name, as it is shown."),
                text("familyName", "The family name."),
                text("givenName", "The given name."),
                text("middleName", "Middle names."),
                text("honorificPrefix", "A title before the name."),
                text("honorificSuffix", "What follows the name."),
            ],
        ),
        text("displayName", "The name to show."),
        text("nickName", "What the person likes to be called."),
        Attribute::new("profileUrl", Kind::Reference, "A page about the person.").to(&["external"]),
        text("title", "The person's job title."),
        text("userType", "The person's relationship to the company."),
        text("preferredLanguage", "The languages that the person wants, as in Accept-Language."),
        text("locale", "For the form of dates and numbers."),
        text("timezone", "A name of the IANA's database."),
        Attribute::new("active", Kind::Boolean, "Whether the person is let in."),
        values("emails", "Mail addresses.", text("value", "A mail address."), &["work", "home", "other"]),
        values(
            "phoneNumbers",
            "Phone numbers.",
            text("value", "A phone number."),
            &["work", "home", "mobile", "fax", "pager", "other"],
        ),
        values(
            "ims",
            "Addresses for instant messages.",
            text("value", "An address."),
            &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"],
        ),
        values(
            "photos",
            "Pictures.",
            Attribute::new("value", Kind::Reference, "Where the picture is.").to(&["external"]),
            &["photo", "thumbnail"],
        ),
        complex(
            "addresses",
            "Postal addresses.",
            vec![
                text("formatted", "The whole address."),
                text("streetAddress", "Street and number."),
                text("locality", "City."),
                text("region", "State or region."),
                text("postalCode", "Postal code."),
                text("country", "Country, by ISO 3166-1."),
                text("type", "What it is for.").canonical(&["work", "home", "other"]),
                Attribute::new("primary", Kind::Boolean, "Whether it is the preferred one; at most one is."),
            ],
        )
        .many(),
        complex(
            "groups",
            "The groups that the person is in; changed at the groups.",
            vec![
                text("value", "The group's id.").case_exact().read_only(),
                Attribute::new("$ref", Kind::Reference, "Where the group is.").to(&["Group"]).read_only(),
                text("display", "The group's name.").read_only(),
                text("type", "How the person is in it.").canonical(&["direct"]).read_only(),
            ],
        )
        .many()
        .read_only(),
        values("entitlements", "Kept as they come; they give nothing here.", text("value", "An entitlement."), &[]),
        values("roles", "Kept as they come; groups give roles here.", text("value", "A role."), &[]),
        values(
            "x509Certificates",
            "Certificates of the person.",
            Attribute::new("value", Kind::Binary, "A certificate, DER in base64."),
            &[],
        ),
    ],
});

static ENTERPRISE_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: ENTERPRISE,
    name: "EnterpriseUser",
    description: "Enterprise User",
    attributes: vec![
        text("employeeNumber", "The person's number in the company."),
        text("costCenter", "The name of a cost center."),
        text("organization", "The name of an organization."),
        text("division", "The name of a division."),
        text("department", "The name of a department."),
        complex(
            "manager",
            "The person's manager.",
            vec![
                text("value", "The id of the manager.").case_exact(),
                Attribute::new("$ref", Kind::Reference, "Where the manager is.").to(&["User"]),
                text("displayName", "The manager's name.").read_only(),
            ],
        ),
    ],
});

static GROUP_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: GROUP,
    name: "Group",
    description: "Group",
    attributes: vec![
        text("displayName", "The group's name; roles may be mapped to it.").required().always(),
        complex(
            "members",
            "Who is in it.",
            vec![
                text("value", "The id of a user.").case_exact().immutable(),
                Attribute::new("$ref", Kind::Reference, "Where the user is.").to(&["User"]).immutable(),
                text("type", "What it is.").canonical(&["User"]).immutable(),
                text("display", "The user's name.").read_only(),
            ],
        )
        .many(),
    ],
});

/// All that `/Schemas` lists.
pub fn documents(base: &str) -> Vec<Value> {
    let schemas: [&Schema; 6] =
        [&USER_SCHEMA, &GROUP_SCHEMA, &ENTERPRISE_SCHEMA, &CONFIG_SCHEMA, &TYPE_SCHEMA, &SCHEMA_SCHEMA];
    schemas.iter().map(|schema| schema.document(base)).collect()
}

fn flag(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Kind::Boolean, description).read_only().required()
}

fn number(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Kind::Integer, description).read_only()
}

fn fact(name: &'static str, description: &'static str) -> Attribute {
    text(name, description).read_only()
}

fn supported(name: &'static str, description: &'static str, more: Vec<Attribute>) -> Attribute {
    let mut parts = vec![flag("supported", "Whether it is there.")];
    parts.extend(more);
    complex(name, description, parts).read_only()
}

static CONFIG_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: SERVICE_PROVIDER_CONFIG,
    name: "Service Provider Configuration",
    description: "What this server can do.",
    attributes: vec![
        Attribute::new("documentationUri", Kind::Reference, "Where to read more.").to(&["external"]).read_only(),
        supported("patch", "PATCH.", vec![]),
        supported(
            "bulk",
            "Many operations in one request.",
            vec![number("maxOperations", "At most so many."), number("maxPayloadSize", "At most so many bytes.")],
        ),
        supported("filter", "Filters.", vec![number("maxResults", "At most so many on a page.")]),
        supported("changePassword", "Passwords.", vec![]),
        supported("sort", "Sorting.", vec![]),
        supported("etag", "Entity tags.", vec![]),
        complex(
            "pagination",
            "How lists are read (RFC 9865).",
            vec![
                flag("cursor", "Whether by cursor."),
                flag("index", "Whether by index."),
                fact("defaultPaginationMethod", "How, where nothing is said.").canonical(&["cursor", "index"]),
                number("defaultPageSize", "How many on a page, where nothing is said."),
                number("maxPageSize", "At most so many on a page."),
            ],
        )
        .read_only(),
        complex(
            "authenticationSchemes",
            "How a client proves who it is.",
            vec![
                fact("type", "Which scheme.").canonical(&["oauthbearertoken"]),
                fact("name", "What it is called."),
                fact("description", "What it is."),
                Attribute::new("specUri", Kind::Reference, "Where it is specified.").to(&["external"]).read_only(),
                Attribute::new("documentationUri", Kind::Reference, "Where to read more.")
                    .to(&["external"])
                    .read_only(),
                Attribute::new("primary", Kind::Boolean, "Whether it is the preferred one.").read_only(),
            ],
        )
        .many()
        .read_only(),
    ],
});

static TYPE_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
    id: RESOURCE_TYPE,
    name: "ResourceType",
    description: "What there is at an endpoint.",
    attributes: vec![
        fact("id", "Its name."),
        fact("name", "Its name.").required(),
        fact("description", "What it is."),
        Attribute::new("endpoint", Kind::Reference, "Where it is, below the base.").to(&["uri"]).read_only().required(),
        Attribute::new("schema", Kind::Reference, "Its schema.").to(&["uri"]).read_only().required(),
        complex(
            "schemaExtensions",
            "What it may have beside it.",
            vec![
                Attribute::new("schema", Kind::Reference, "The schema.").to(&["uri"]).read_only().required(),
                flag("required", "Whether it must have it."),
            ],
        )
        .many()
        .read_only(),
    ],
});

static SCHEMA_SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let parts = || {
        vec![
            fact("name", "Its name.").required(),
            fact("type", "What its values are.").required(),
            flag("multiValued", "Whether there may be many."),
            fact("description", "What it is."),
            Attribute::new("required", Kind::Boolean, "Whether it must be there.").read_only(),
            fact("canonicalValues", "The usual values.").many(),
            Attribute::new("caseExact", Kind::Boolean, "Whether case matters.").read_only(),
            fact("mutability", "Who may write it."),
            fact("returned", "When it is answered."),
            fact("uniqueness", "Whether two may have the same."),
            fact("referenceTypes", "What it refers to.").many(),
        ]
    };
    let mut attribute = parts();
    attribute.push(complex("subAttributes", "The parts of a complex one.", parts()).many().read_only());
    Schema {
        id: SCHEMA,
        name: "Schema",
        description: "The attributes under one URN.",
        attributes: vec![
            fact("id", "Its URN.").required(),
            fact("name", "Its name."),
            fact("description", "What it is."),
            complex("attributes", "What it has.", attribute).many().read_only(),
        ],
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_whatever_its_case() {
        for (path, name, part, extension) in [
            ("USERNAME", "userName", None, false),
            ("name.GIVENname", "name", Some("givenName"), false),
            ("urn:ietf:params:scim:schemas:core:2.0:User:emails.value", "emails", Some("value"), false),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
                "manager",
                Some("value"),
                true,
            ),
            ("meta.lastModified", "meta", Some("lastModified"), false),
        ] {
            let place = USERS.resolve_text(path).unwrap_or_else(|| panic!("{path}"));
            let found = (place.attribute.name, place.part.map(|part| part.name), place.extension.is_some());
            assert_eq!(found, (name, part, extension), "{path}");
        }
        for unknown in ["password", "name.x", "urn:x:User:department", "department", "", ".", "emails.value.x"] {
            assert!(USERS.resolve_text(unknown).is_none(), "{unknown}");
        }
    }
}
