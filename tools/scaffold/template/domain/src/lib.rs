//! The domain, pure: the rules of «a» «words» and its read models. Read it in this order:
//!
//! 1. [`«snake»`]: the aggregate with its commands, events and rules.
//! 2. [`«view»`]: the view of one «words».
//! 3. [`totals`]: the counters over all «words»s.

// A new event or status must break the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod «snake»;
pub mod «view»;
pub mod totals;

use cqrs::{Domain, ReadModel, ReadModels};

pub use self::{
    «snake»::{«Camel», «Camel»Command, «Camel»Event, «Camel»Rejection, Status},
    «view»::{«Views», «View»},
    totals::Totals,
};

/// The domains of this project. The projector, maintenance and the tests get the read models from here.
#[derive(Clone, Copy, Debug)]
pub struct Domains;

impl Domain for Domains {
    fn read_models<M: ReadModels>(models: M) -> M {
        models.add(ReadModel::<«Views»>::new().rollup::<Totals>())
    }
}

/// The permissions of callers.
pub mod scope {
    use cqrs::Scope;

    /// Open «words»s, and change the caller's own.
    pub const WRITE: Scope = Scope::new("«kebab»s/write");
    /// Read the caller's own «words»s.
    pub const READ: Scope = Scope::new("«kebab»s/read");
    /// Read any «words», and the totals.
    pub const ADMIN: Scope = Scope::new("«kebab»s/admin");
}
