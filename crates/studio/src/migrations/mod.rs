//! The tables of this room.

mod courses;
mod knowledge;
mod planners;
mod prompts;
mod schedules;

use sea_orm_migration::prelude::*;

use courses::{Conversations, Courses};
use knowledge::{Glossaries, Semantics, Templates, VerifiedPairs};
use planners::OrganizationPlanners;
use prompts::{PromptVersions, Prompts, PromptsOfAPerson};
use schedules::Schedules;

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Prompts),
        Box::new(PromptsOfAPerson),
        Box::new(Courses),
        Box::new(Templates),
        Box::new(VerifiedPairs),
        Box::new(Glossaries),
        Box::new(Semantics),
        Box::new(Conversations),
        Box::new(PromptVersions),
        Box::new(Schedules),
        Box::new(OrganizationPlanners),
    ]
}

fn belongs_to(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "organization_id")
        .to("organizations", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
