//! The commands, one file each.

pub mod demo;
pub mod key;
mod lookup;
pub mod member;
#[cfg(test)]
mod operator;
pub mod org;
pub mod stack;
pub mod token;
pub mod user;
