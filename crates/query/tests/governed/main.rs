//! The engine from outside: what it answers, what it refuses, what it tells.

mod answers;
mod limits;
mod refusals;
mod support;
