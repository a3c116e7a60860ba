mod create;
mod discover_schema;
mod get;
mod list;
mod query;
mod test;
