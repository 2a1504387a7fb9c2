//! The counters over all «words»s, which `GET /totals` returns.

use std::collections::BTreeMap;

use cqrs::{Counters, Rollup};
use serde::Serialize;
use strum::VariantArray;

use crate::{«View», «Views», Status};

/// The number of «words»s in each status.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Totals {
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, u64>))]
    pub by_status: BTreeMap<&'static str, i128>,
}

impl Rollup for Totals {
    type Projection = «Views»;

    const NAME: &'static str = "totals";

    fn contribution(«snake»: &«View») -> Counters {
        Counters::default().with(Self::ROW, «snake».status.into(), 1)
    }
}

impl Totals {
    pub const ROW: &'static str = "all";

    pub fn new(counters: &Counters) -> Self {
        let count = |status: &Status| {
            let name = <&str>::from(status);
            (name, counters.get(Self::ROW, name))
        };
        Self { by_status: Status::VARIANTS.iter().map(count).collect() }
    }
}
