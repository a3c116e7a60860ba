//! Policies against real databases: SQLite always, PostgreSQL where `RIVERGEN_TEST_POSTGRES_URL` names a server
//! on which databases may be created.

#[macro_use]
mod harness;

mod assign;
mod create;
mod effective;
mod evaluations;
mod get;
mod list;
