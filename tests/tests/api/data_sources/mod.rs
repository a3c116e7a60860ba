mod create;
mod discover_schema;
mod get;
mod list;
mod queries;
mod query;
mod query_download;
mod test;
