//! The services of the platform against real databases: SQLite always, PostgreSQL where
//! `RIVERGEN_TEST_POSTGRES_URL` names a server on which databases may be created.

#[macro_use]
mod database;

mod audit;
mod audit_export;
mod audit_streams;
mod bus;
mod conflicts;
mod jobs;
mod limits;
mod mail;
mod net;
mod signing;
mod vault;
