//! What one caller may see of some sources: their discovered tables, each with its decision.
//!
//! Nothing is opened to know it: the tables come from the last discovery, the decisions from the policies.
//! Only the tables that a statement names are opened, when it is planned.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{Field, Schema},
    catalog::TableProvider,
    datasource::empty::EmptyTable,
    sql::sqlparser::ast::ObjectName,
};
use futures::future::BoxFuture;
use rivergen_connectors::{ConnectorError, DiscoveredColumn, DiscoveredTable, ForeignKey};
use rivergen_kernel::{Caller, DataSourceId, DatasetId, Error, ErrorCode, Result, Tenant, caller::Membership};
use rivergen_policies::{
    decision::{Decision, Subject, decide_tagged},
    rule::{EffectivePolicy, RuleConfig, TableName, TablePattern},
    tags::Tags,
};
use rivergen_query::{GovernedTable, filter::Entitlements};
use rivergen_sources::{discovery, health::check::Origin, source, table};
use sha2::{Digest, Sha256};

use crate::{Engine, fit::columns_of, lookups::untold, told::Told};

/// The tables of some sources, as one caller may see them.
pub struct Catalogue {
    pub tenant: Tenant,
    pub sources: Vec<source::Model>,
    pub tables: Vec<CatalogueTable>,
    /// What governs the caller on these sources.
    pub rules: Rules,
}

/// A table, and what the caller may see of it.
#[derive(Clone)]
pub struct CatalogueTable {
    pub name: TableName,
    pub source_id: DataSourceId,
    pub dataset_id: DatasetId,
    pub discovered: DiscoveredTable,
    pub discovered_at: chrono::DateTime<chrono::Utc>,
    pub decision: Decision,
}

/// What governs somebody on some sources.
#[derive(Default)]
pub struct Rules {
    policies: BTreeMap<DataSourceId, Vec<EffectivePolicy>>,
    tags: Tags,
    subject: Subject,
}

impl Rules {
    pub fn new(policies: BTreeMap<DataSourceId, Vec<EffectivePolicy>>, tags: Tags, subject: Subject) -> Self {
        Self { policies, tags, subject }
    }

    /// What they may see of a table with such columns.
    pub fn decide<'a>(
        &self,
        source: DataSourceId,
        table: &TableName,
        columns: impl IntoIterator<Item = &'a DiscoveredColumn>,
    ) -> Decision {
        let mut columns = columns_of(columns);
        let mut held = self.tags.of_table(source, &table.schema, &table.table);
        for column in &mut columns {
            column.tags = held.remove(&column.name).unwrap_or_default();
        }
        let lost = held.into_values().flatten().collect();
        decide_tagged(self.of(source), table, &columns, &lost, &self.subject, false)
    }

    /// Each table with what the rules make of it.
    pub(crate) fn decided(&self, rows: &[table::Model], sources: &[source::Model]) -> Result<Vec<CatalogueTable>> {
        let mut tables = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(source) = sources.iter().find(|source| source.id == row.data_source_id) else { continue };
            let discovered = row.discovered()?;
            let (schema, table) = (row.schema_name.clone(), row.table_name.clone());
            let name = TableName { catalog: source.slug.clone(), schema, table };
            let decision = self.decide(source.id, &name, &discovered.columns);
            let discovered_at = row.discovered_at;
            tables.push(CatalogueTable {
                name,
                source_id: source.id,
                dataset_id: DatasetId(row.id),
                discovered,
                discovered_at,
                decision,
            });
        }
        Ok(tables)
    }

    /// Whether no policy governs them on the source.
    pub fn leave_alone(&self, source: DataSourceId) -> bool {
        self.of(source).is_empty()
    }

    fn of(&self, source: DataSourceId) -> &[EffectivePolicy] {
        self.policies.get(&source).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What governs some tables for a caller; equal where they may see the same of each of them.
pub(crate) fn governance<'a>(tables: impl Iterator<Item = &'a CatalogueTable>) -> Vec<u8> {
    let mut told: Vec<String> =
        tables.map(|table| format!("{:?} {:?} {:?}", table.source_id, table.name, table.decision)).collect();
    told.sort();
    told.dedup();
    Sha256::digest(format!("{told:?}")).to_vec()
}

impl CatalogueTable {
    /// What governs the caller on the table; equal for those who may see the same of it.
    pub fn governance(&self) -> Vec<u8> {
        governance(std::iter::once(self))
    }

    /// The columns that exist for the caller, in their order.
    pub fn visible_columns(&self) -> impl Iterator<Item = &DiscoveredColumn> {
        self.discovered.columns.iter().filter(|column| !self.decision.hidden.contains_key(&column.name))
    }

    /// Whether a column of the table exists for the caller. A closed table has none.
    pub fn shows(&self, column: &str) -> bool {
        self.decision.is_allowed() && !self.decision.hidden.contains_key(column)
    }
}

impl Catalogue {
    /// What a foreign key of the table points to, where that exists for the caller.
    pub fn reference<'a>(&self, table: &CatalogueTable, column: &'a DiscoveredColumn) -> Option<&'a ForeignKey> {
        let key = column.foreign_key.as_ref()?;
        let is_target = |other: &&CatalogueTable| {
            other.source_id == table.source_id && other.name.schema == key.schema && other.name.table == key.table
        };
        let target = self.tables.iter().find(is_target)?;
        let is_seen = target.decision.is_allowed() && target.visible_columns().any(|seen| seen.name == key.column);
        is_seen.then_some(key)
    }

    /// `INVALID_QUERY` for a name that no table has, with the nearest ones that the caller may read.
    pub(crate) fn check_names(&self, relations: &[ObjectName]) -> Result<()> {
        let unknown = relations.iter().find(|name| !self.tables.iter().any(|table| may_mean(name, &table.name)));
        let Some(unknown) = unknown else { return Ok(()) };
        let last = unknown.0.last().and_then(|part| part.as_ident()).map_or("", |ident| ident.value.as_str());
        let readable = self.tables.iter().filter(|table| table.decision.is_allowed());
        let mut nearest: Vec<_> = readable
            .map(|table| (strsim::damerau_levenshtein(&table.name.table, last), table.name.to_string()))
            .collect();
        nearest.sort();
        nearest.truncate(3);
        let names: Vec<String> = nearest.into_iter().map(|(_, name)| name).collect();
        let nearest = if names.is_empty() { String::new() } else { format!(" Nearest: {}.", names.join(", ")) };
        Err(Error::new(ErrorCode::InvalidQuery).with_message(format!("There is no table {unknown}.{nearest}")))
    }
}

impl Engine {
    /// The caller's catalogue of the sources. A source that nobody has discovered yet is discovered now.
    pub fn catalogue<'a>(
        &'a self,
        caller: &'a Caller,
        tenant: Tenant,
        sources: Vec<source::Model>,
    ) -> BoxFuture<'a, Result<Catalogue>> {
        Box::pin(async move {
            self.discover_new(tenant, &sources).await?;
            self.known(caller, tenant, sources).await
        })
    }

    /// The same of what is known: nothing is discovered.
    pub async fn known(&self, caller: &Caller, tenant: Tenant, sources: Vec<source::Model>) -> Result<Catalogue> {
        let ids: Vec<DataSourceId> = sources.iter().map(|source| source.id).collect();
        let rows = table::of_sources(self.platform.db.read(), tenant, &ids).await?;
        let membership = caller.membership()?;
        let policies = self.policies.effective_for(tenant, membership, caller.user_id, &ids).await?;
        let tags = self.tags(tenant, &policies).await?;
        let groups = self.policies.groups_for(tenant, caller.user_id, &policies).await?;
        let rules = Rules::new(policies, tags, self.subject(caller, membership).with_groups(groups));
        let tables = rules.decided(&rows, &sources)?;
        Ok(Catalogue { tenant, sources, tables, rules })
    }

    /// The tags of the sources, as far as policies ask for tags.
    pub(crate) async fn tags(
        &self,
        tenant: Tenant,
        policies: &BTreeMap<DataSourceId, Vec<EffectivePolicy>>,
    ) -> Result<Tags> {
        let asks = |policy: &EffectivePolicy| policy.rules.iter().any(RuleConfig::looks_at_tags);
        let asking: Vec<DataSourceId> =
            policies.iter().filter(|(_, policies)| policies.iter().any(asks)).map(|(source, _)| *source).collect();
        if asking.is_empty() {
            Ok(Tags::default())
        } else {
            Tags::confirmed(self.platform.db.read(), tenant, &asking).await
        }
    }

    /// The tables that the row filters of a table look entitlements up in, opened as they are. One that is not there is
    /// left out, and closes the table. The caller is told neither of them nor of what is wrong with them.
    async fn entitlements(&self, catalogue: &Catalogue, governed: &CatalogueTable) -> Result<Entitlements> {
        let mut entitlements = Entitlements::new();
        if !governed.decision.is_allowed() {
            return Ok(entitlements);
        }
        for written in governed.decision.row_filters.iter().flat_map(|filter| filter.written.tables()) {
            let Some(table) = entitlement_table(&catalogue.tables, governed, written) else { continue };
            let handle = self.sources.opened(catalogue.tenant, governed.source_id).await?;
            match handle.open_table(&table.name.schema, &table.name.table, Some(&table.discovered)).await {
                Ok(provider) => {
                    entitlements.insert(written.to_owned(), provider);
                }
                Err(ConnectorError::NotFound { .. }) => {}
                Err(error) => return Err(untold(error.into())),
            }
        }
        Ok(entitlements)
    }

    /// Who asks, when and from where, as far as rules look at it.
    fn subject(&self, caller: &Caller, membership: &Membership) -> Subject {
        let email = Some(&*caller.email).filter(|_| caller.email_verified);
        Subject::new(membership, caller.user_id, email, self.platform.clock.now(), caller.proofs.ip)
    }

    /// The tables of the sources. A source that nobody has discovered yet is discovered now.
    pub(crate) async fn discovered(&self, tenant: Tenant, sources: &[source::Model]) -> Result<Vec<table::Model>> {
        self.discover_new(tenant, sources).await?;
        let ids: Vec<DataSourceId> = sources.iter().map(|source| source.id).collect();
        table::of_sources(self.platform.db.read(), tenant, &ids).await
    }

    async fn discover_new(&self, tenant: Tenant, sources: &[source::Model]) -> Result<()> {
        for source in sources.iter().filter(|source| source.schema_discovered_at.is_none()) {
            discovery::discover(&self.sources, tenant, source, None, Origin::Query).await?;
        }
        Ok(())
    }

    /// The governed tables that the relations of a statement can mean, opened; a closed table stays closed
    /// and is only there to be refused by name.
    pub(crate) async fn open_tables(
        &self,
        catalogue: &Catalogue,
        relations: &[ObjectName],
    ) -> Result<Vec<GovernedTable>> {
        let mut opened = Vec::new();
        for known in catalogue.tables.iter().filter(|known| relations.iter().any(|name| may_mean(name, &known.name))) {
            let provider: Arc<dyn TableProvider> = if known.decision.is_allowed() {
                let handle = self.sources.opened(catalogue.tenant, known.source_id).await?;
                let opening = handle.open_table(&known.name.schema, &known.name.table, Some(&known.discovered));
                let provider = opening.await.map_err(|error| {
                    let told = Told::of(std::iter::once(known)).of_source(&error);
                    told.with_source(error)
                })?;
                if let Some(column) = undecided(&provider.schema(), &known.discovered) {
                    tracing::warn!(table = %known.name, column, "a column has come that no policy was asked about");
                    return Err(Error::new(ErrorCode::DataSourceUnavailable).with_message(format!(
                        "{} has different columns than when its schema was discovered; discover it again.",
                        known.name
                    )));
                }
                provider
            } else {
                Arc::new(EmptyTable::new(Arc::new(Schema::new(Vec::<Field>::new()))))
            };
            opened.push(GovernedTable {
                name: known.name.clone(),
                source_id: known.source_id,
                provider,
                decision: known.decision.clone(),
                entitlements: self.entitlements(catalogue, known).await?,
            });
        }
        Ok(opened)
    }
}

/// The table of the same source that a filter's sub-select means; none where several could be meant.
pub(crate) fn entitlement_table<'a>(
    tables: &'a [CatalogueTable],
    governed: &CatalogueTable,
    written: &str,
) -> Option<&'a CatalogueTable> {
    let pattern = TablePattern::Named(written.to_owned());
    let mut meant = tables.iter().filter(|table| table.source_id == governed.source_id && pattern.matches(&table.name));
    meant.next().filter(|_| meant.next().is_none())
}

/// The type in the source's words. Of a masked column without values that are part of it: `enum('a','b')` is `enum`.
pub(crate) fn type_told(source_type: &str, masked: bool) -> &str {
    match source_type.split_once('(') {
        Some((name, values)) if masked && values.contains(['\'', '"']) => name.trim_end(),
        _ => source_type,
    }
}

/// A column that the table has and discovery did not know: no policy has decided on it, so it must not be read.
fn undecided<'a>(schema: &'a Schema, discovered: &DiscoveredTable) -> Option<&'a str> {
    let is_known = |name: &str| discovered.columns.iter().any(|column| column.name == name);
    schema.fields().iter().map(|field| field.name().as_str()).find(|name| !is_known(name))
}

/// Whether the last parts of a dotted name fit the table.
fn may_mean(relation: &ObjectName, table: &TableName) -> bool {
    let full = [&table.catalog, &table.schema, &table.table];
    let parts: Vec<&str> =
        relation.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    parts.len() <= full.len() && full.iter().rev().zip(parts.iter().rev()).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use datafusion::arrow::datatypes::DataType;
    use rivergen_connectors::TableKind;
    use rivergen_kernel::{PolicyId, RoleId, UserId};
    use rivergen_policies::{
        decision::ColumnInfo,
        facts::Facts,
        mask::ColumnType,
        rule::{PolicyType, RuleType},
    };
    use serde_json::{Value as Json, json};

    use super::*;

    /// What governs a caller on a table with a region and an e-mail address.
    fn governance_of(rules: &[(RuleType, Json)], tags: &[&str], subject: &Subject) -> Vec<u8> {
        let policies = [EffectivePolicy {
            id: PolicyId(1),
            name: "of the test".to_owned(),
            policy_type: PolicyType::AccessControl,
            priority: 0,
            only: None,
            rules: rules.iter().map(|(kind, config)| RuleConfig::parse(*kind, config).unwrap()).collect(),
        }];
        let column = |name: &str, tags: &[&str]| ColumnInfo {
            name: name.to_owned(),
            column_type: ColumnType::Text,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let columns = [column("region", &[]), column("email", tags)];
        let name = TableName { catalog: "crm".to_owned(), schema: "main".to_owned(), table: "people".to_owned() };
        let table = CatalogueTable {
            decision: decide_tagged(&policies, &name, &columns, &Default::default(), subject, false),
            name,
            source_id: DataSourceId(1),
            dataset_id: DatasetId(1),
            discovered: DiscoveredTable {
                name: "people".to_owned(),
                kind: TableKind::Table,
                columns: Vec::new(),
                row_count: None,
                comment: None,
            },
            discovered_at: DateTime::UNIX_EPOCH,
        };
        governance([&table].into_iter())
    }

    /// A page is given again under what governs its reader: no two are the same of whom one sees what the other does not.
    #[test]
    fn result_caching_across_callers() {
        let anna = || Subject {
            facts: Facts {
                attributes: [("region".to_owned(), json!("EU"))].into(),
                user_id: Some(UserId(1)),
                email: Some("anna@acme.example".to_owned()),
                role_names: vec!["Viewer".to_owned()],
                groups: vec!["Sales".to_owned()],
                at: Some(DateTime::<Utc>::UNIX_EPOCH),
                ip: None,
            },
            role_ids: [RoleId(1)].into(),
        };
        let with = |change: fn(&mut Subject)| {
            let mut other = anna();
            change(&mut other);
            other
        };
        let filter = |condition: &str| vec![(RuleType::FilterRows, json!({"table": "people", "condition": condition}))];
        let mask = json!({"column": "email", "masking_function": "redact", "unless_role_ids": [2]});
        let initial = json!({"column": "email", "masking_function": "expression",
            "options": {"expression": "CASE WHEN region = current_user_region THEN email ELSE NULL END"}});
        type Case = (&'static str, Vec<(RuleType, Json)>, Subject);
        let cases: [Case; 9] = [
            (
                "attribute",
                filter("region = current_user_region"),
                with(|other| {
                    other.facts.attributes.insert("region".to_owned(), json!("US"));
                }),
            ),
            ("no attribute", filter("region = current_user_region"), with(|other| other.facts.attributes.clear())),
            (
                "attribute in a mask",
                vec![(RuleType::MaskColumn, initial)],
                with(|other| {
                    other.facts.attributes.insert("region".to_owned(), json!("US"));
                }),
            ),
            ("person", filter("region = current_user_id"), with(|other| other.facts.user_id = Some(UserId(2)))),
            (
                "address",
                filter("email = current_user_email"),
                with(|other| {
                    other.facts.email = Some("ben@acme.example".to_owned());
                }),
            ),
            ("role", vec![(RuleType::MaskColumn, mask)], with(|other| other.role_ids = [RoleId(2)].into())),
            (
                "name of a role",
                filter("region IN (current_user_roles)"),
                with(|other| {
                    other.facts.role_names = vec!["Developer".to_owned()];
                }),
            ),
            (
                "group",
                filter("region IN (current_user_groups)"),
                with(|other| other.facts.groups = vec!["Ops".to_owned()]),
            ),
            (
                "time",
                filter("current_hour < 8"),
                with(|other| {
                    other.facts.at = Some(DateTime::<Utc>::UNIX_EPOCH + chrono::Duration::hours(9));
                }),
            ),
        ];
        for (what, rules, other) in cases {
            let own = governance_of(&rules, &[], &anna());
            assert_eq!(own, governance_of(&rules, &[], &anna()), "{what}");
            assert_ne!(own, governance_of(&rules, &[], &other), "{what}");
        }
        // The same policies and the same person over a column that was tagged meanwhile.
        let tagged = [(RuleType::MaskColumn, json!({"tag": "pii.*", "masking_function": "redact"}))];
        assert_ne!(governance_of(&tagged, &[], &anna()), governance_of(&tagged, &["pii.email"], &anna()));
        // What no policy looks at tells nobody apart, or nothing would ever be given again.
        let open = filter("region = 'EU'");
        let other = with(|other| other.facts.email = None);
        assert_eq!(governance_of(&open, &[], &anna()), governance_of(&open, &[], &other));
    }

    #[test]
    fn a_column_that_nobody_decided_on_is_noticed() {
        let column = |name: &str| DiscoveredColumn {
            name: name.to_owned(),
            source_type: "bigint".to_owned(),
            arrow_type: DataType::Int64,
            position: 1,
            nullable: true,
            primary_key: false,
            foreign_key: None,
            default_value: None,
            comment: None,
            reading: None,
        };
        let columns = vec![column("id"), column("salary")];
        let discovered = DiscoveredTable {
            name: "people".to_owned(),
            kind: TableKind::Table,
            columns,
            row_count: None,
            comment: None,
        };
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect::<Vec<_>>())
        };
        assert_eq!(undecided(&schema(&["id", "salary"]), &discovered), None);
        // What has gone is told by the policies that name it.
        assert_eq!(undecided(&schema(&["id"]), &discovered), None);
        assert_eq!(undecided(&schema(&["id", "ssn", "salary"]), &discovered), Some("ssn"));
        // Names are told apart by case, as policies tell them.
        assert_eq!(undecided(&schema(&["ID"]), &discovered), Some("ID"));
    }

    #[test]
    fn the_values_of_an_enumeration_are_told_where_no_mask_is_on_them() {
        for (declared, told) in [
            ("enum('new','sold')", "enum"),
            ("set('a')", "set"),
            ("Nullable(Enum8('new' = 1))", "Nullable"),
            ("varchar(80)", "varchar(80)"),
            ("text", "text"),
        ] {
            assert_eq!(type_told(declared, true), told);
            assert_eq!(type_told(declared, false), declared);
        }
    }
}
