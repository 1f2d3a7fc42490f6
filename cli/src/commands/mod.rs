//! The commands, one file each.

pub mod account;
pub mod backup;
pub mod check;
pub mod demo;
pub mod erase;
pub mod ingest;
pub mod key;
pub mod lake;
mod lookup;
pub mod member;
pub mod migrate;
#[cfg(test)]
mod operator;
pub mod org;
pub mod ping;
pub mod report;
pub mod serve;
pub mod stack;
pub mod token;
pub mod user;
