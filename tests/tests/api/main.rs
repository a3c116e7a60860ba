//! All black-box tests, in one binary. The path of a test is the path of the operation that it tests; beside them
//! stand the tests that go across: [`tenant_matrix`], [`bad_input`], [`governed`], [`crash`], [`cli`].

mod attacks;
mod audit_streams;
mod auth;
mod bad_input;
mod cli;
mod countries;
mod crash;
mod data_sources;
mod devices;
mod governed;
mod invitations;
mod limits;
mod mfa;
mod nodes;
mod oauth;
mod operator;
mod organizations;
mod pages;
mod policies;
mod prompts;
mod roles;
mod scim;
mod sessions;
mod sso;
mod sso_enforcement;
mod storage;
mod tenant_matrix;
mod tokens;
mod tpch;
mod users;
mod webauthn;
mod workspaces;
