//! The view of one «words», which `GET /«kebab»s/{«snake»_id}` returns.

use cqrs::{Projection, Recorded, Time};
use serde::{Deserialize, Serialize};

use crate::«snake»::{«Camel»Event, OwnerId, Status, Title};

/// «A» «words» as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct «View» {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::«snake»::«Camel»Id))]
    pub «snake»_id: String,
    pub owner_id: OwnerId,
    pub title: Title,
    pub status: Status,
    pub opened_at: Time,
    /// The time of the last event.
    pub updated_at: Time,
}

/// Folds the stream of «a» «words» into its [`«View»`].
#[derive(Debug)]
pub struct «Views»;

impl Projection for «Views» {
    type Event = «Camel»Event;
    type View = «View»;

    const NAME: &'static str = "«views»";
    const KEY: &'static str = "«snake»_id";
    const SCHEMA: u32 = 1;

    fn evolve(_view: Option<«View»>, recorded: Recorded<'_, «Camel»Event>) -> Option<«View»> {
        let at = Time::from(recorded.recorded_at);
        match recorded.event {
            «Camel»Event::Opened { owner_id, title } => Some(«View» {
                «snake»_id: recorded.stream.key().to_owned(),
                owner_id: owner_id.clone(),
                title: title.clone(),
                status: Status::Open,
                opened_at: at,
                updated_at: at,
            }),
        }
    }
}
