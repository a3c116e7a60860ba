//! The engine from outside: what it answers, what it refuses, what it tells.

mod answers;
mod limits;
mod pushdown;
mod refusals;
mod support;
mod threads;
