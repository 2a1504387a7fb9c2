//! The domains of this deployment, listed once. The projector and maintenance take their read models from here, and the
//! publisher takes their publications.

use cqrs::{Domain, Event, ReadModels};
use orders::{OrderEvent, Orders};

/// The category of a stream id without a `#` on the command line.
pub const DEFAULT_CATEGORY: &str = OrderEvent::CATEGORY;

/// All domains of this deployment.
#[derive(Clone, Copy, Debug)]
pub struct Domains;

impl Domain for Domains {
    fn read_models<M: ReadModels>(models: M) -> M {
        Orders::read_models(models)
    }

    fn publications<M: ReadModels>(models: M) -> M {
        Orders::publications(models)
    }
}
