//! The public event of a reminder: other systems hear that an order must be shipped soon.

use cqrs::{ProcessEvent, PublicEvent, Publication, Recorded, Time, process::ProcessFact};
use serde::Serialize;

use super::{ShippingDeadline, ShippingTimer};

/// Publishes the firing of the timer `remind`.
#[derive(Debug)]
pub struct ShippingReminders;

/// The public events about shipping deadlines. Their subject is the stream of the process.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data")]
pub enum PublicReminder {
    /// An order is not shipped, and its deadline is near.
    #[serde(rename = "order.shipping-reminded")]
    ShippingReminded(ShippingReminded),
}

/// The data of the public event `order.shipping-reminded`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShippingReminded {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub reminded_at: Time,
}

impl PublicEvent for PublicReminder {
    const SCHEMAS: &'static [(&'static str, u32)] = &[("order.shipping-reminded", 1)];
}

impl Publication for ShippingReminders {
    type Event = ProcessEvent<ShippingDeadline>;
    type Public = PublicReminder;

    const NAME: &'static str = "shipping-reminders";

    fn publish(recorded: Recorded<'_, ProcessEvent<ShippingDeadline>>) -> Option<PublicReminder> {
        match &recorded.event.fact {
            ProcessFact::TimerFired(fired) if fired.timer.parse() == Ok(ShippingTimer::Remind) => {
                let order_id = recorded.stream.key().to_owned();
                let reminded_at = recorded.recorded_at.into();
                Some(PublicReminder::ShippingReminded(ShippingReminded { order_id, reminded_at }))
            }
            ProcessFact::TimerFired(_)
            | ProcessFact::TimerSet(_)
            | ProcessFact::TimerCancelled(_)
            | ProcessFact::SourceFollowed(_)
            | ProcessFact::CommandSent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs::{
        process::TimerFact,
        spec::{DECIDED_AT, when_recorded},
    };

    use super::*;

    fn fact(timer: &str) -> TimerFact {
        TimerFact { timer: timer.to_owned(), due: "2026-11-23T10:00:00Z".parse().unwrap() }
    }

    #[test]
    fn a_reminder_is_published_when_its_timer_fires() {
        // `when_recorded` has the key 1.
        let reminded_at = DECIDED_AT.to_owned().try_into().unwrap();
        let reminded = ShippingReminded { order_id: "1".to_owned(), reminded_at };
        when_recorded::<ShippingReminders>(ProcessFact::TimerFired(fact("remind")).into())
            .then_published(PublicReminder::ShippingReminded(reminded));
    }

    #[test]
    fn no_other_fact_of_the_process_is_published() {
        for fact in [
            ProcessFact::TimerFired(fact("deadline")),
            ProcessFact::TimerSet(fact("remind")),
            ProcessFact::TimerCancelled(fact("remind")),
        ] {
            when_recorded::<ShippingReminders>(fact.into()).then_published(None);
        }
    }
}
