//! The tables of this room: here the order in which they came to be, beside it what they are about. What only makes
//! lists quick, and came after its table, is in `indexes`.

mod domains;
mod indexes;
mod organizations;
mod people;
mod workspaces;

use sea_orm_migration::prelude::*;

use domains::{DomainMails, Domains};
use organizations::{Enforcements, Logos, Organizations, Security};
use people::{AllWords, ImportFailures, LastLogins, NamesBesideWords, People};
use workspaces::{PublicAccess, PublicWorkspaces, WorkspaceSettingsChanges};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Organizations),
        Box::new(Security),
        Box::new(People),
        Box::new(Domains),
        Box::new(PublicWorkspaces),
        Box::new(indexes::Lookups),
        Box::new(LastLogins),
        Box::new(PublicAccess),
        Box::new(ImportFailures),
        Box::new(indexes::InvitationExpiry),
        Box::new(indexes::SentByPeople),
        Box::new(Enforcements),
        Box::new(NamesBesideWords),
        Box::new(Logos),
        Box::new(indexes::WorkspacePeople),
        Box::new(indexes::InvitationPages),
        Box::new(indexes::StatusChanges),
        Box::new(WorkspaceSettingsChanges),
        Box::new(DomainMails),
        Box::new(AllWords),
    ]
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}
