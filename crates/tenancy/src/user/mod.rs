//! Users: the accounts of an organization's members, as its administrators see them. One operation, one file.
//!
//! Acting on somebody means acting on what they are in one organization; what they are elsewhere is neither seen nor
//! touched.

pub mod export;
