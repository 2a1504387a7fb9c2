//! The shipping deadline: an order that is not shipped in time is cancelled, with a reminder before that.
//!
//! 1. This file: the process, with its settings, timers and reactions.
//! 2. [`reminders`]: the public event of a reminder.

pub mod reminders;

use cqrs::{
    Process, Reaction, Trigger,
    process::{DueTimer, InvalidSetting, PendingTimers},
};
use jiff::SignedDuration;

use crate::order::{CancelOrder, Order, OrderCommand, OrderEvent, Reason};

/// The name of the setting with the time to ship an order, in hours from its placement.
pub const SHIP_WITHIN: &str = "SHIP_WITHIN_HOURS";
/// The name of the setting with the time from the reminder to the deadline, in hours.
pub const REMIND_BEFORE: &str = "REMIND_BEFORE_HOURS";

/// The longest time to ship an order: a year.
const MAX_HOURS: i64 = 8760;

/// The reason of the cancellation. It is a part of the command's fingerprint and must not change.
const REASON: &str = "not shipped in time";

/// Cancels an order that is not shipped in time. New settings apply to orders that are placed later.
#[derive(Clone, Debug, PartialEq)]
pub struct ShippingDeadline {
    /// From the placement to the deadline.
    ship_within: SignedDuration,
    /// From the reminder to the deadline; shorter than `ship_within`.
    remind_before: SignedDuration,
    reason: Reason,
}

/// The timers of one order. The names are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ShippingTimer {
    Remind,
    Deadline,
}

/// The read model of the pending timers of all orders.
pub type ShippingTimers = PendingTimers<ShippingDeadline>;

impl ShippingDeadline {
    /// Creates the process, with times in hours.
    ///
    /// # Errors
    /// If a time is not from 1 hour to a year, or the reminder does not come after the placement.
    pub fn new(ship_within: i64, remind_before: i64) -> Result<Self, InvalidSetting> {
        let invalid = |name, expected| InvalidSetting { name, expected };
        if !(1..=MAX_HOURS).contains(&ship_within) {
            return Err(invalid(SHIP_WITHIN, "a number of hours from 1 to 8760"));
        }
        if !(1..ship_within).contains(&remind_before) {
            return Err(invalid(REMIND_BEFORE, "a number of hours from 1, and less than SHIP_WITHIN_HOURS"));
        }
        let reason = REASON.to_owned().try_into().map_err(|_| invalid(SHIP_WITHIN, "followed by a reason"))?;
        let hours = SignedDuration::from_hours;
        Ok(Self { ship_within: hours(ship_within), remind_before: hours(remind_before), reason })
    }
}

impl Process for ShippingDeadline {
    type Source = OrderEvent;
    type Target = Order;
    type Timer = ShippingTimer;
    /// A reaction depends on its trigger only.
    type State = ();

    const NAME: &'static str = "shipping-deadline";
    const TIMERS: &'static str = "shipping-timers";

    fn configure(setting: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting> {
        // A missing or malformed number is outside of the bounds.
        let hours = |name| setting(name).and_then(|hours| hours.parse().ok()).unwrap_or_default();
        Self::new(hours(SHIP_WITHIN), hours(REMIND_BEFORE))
    }

    fn evolve((): (), _: &Trigger<'_, Self>) {}

    fn react(&self, (): &(), trigger: &Trigger<'_, Self>) -> Reaction<Self> {
        use ShippingTimer::{Deadline, Remind};
        match trigger {
            Trigger::Event(recorded) => match recorded.event {
                OrderEvent::Placed(_) => {
                    let deadline = recorded.recorded_at + self.ship_within;
                    Reaction::none().set(Remind, deadline - self.remind_before).set(Deadline, deadline)
                }
                OrderEvent::Shipped(_) | OrderEvent::Cancelled(_) => Reaction::none().cancel(Remind).cancel(Deadline),
                OrderEvent::Delivered {} => Reaction::none(),
            },
            // The firing itself is the reminder: `reminders` publishes it.
            Trigger::Due(DueTimer { timer: Remind, .. }) => Reaction::none(),
            Trigger::Due(DueTimer { timer: Deadline, .. }) => {
                let cancellation = CancelOrder { reason: self.reason.clone() };
                Reaction::none().send(trigger.key(), OrderCommand::Cancel(cancellation))
            }
        }
    }
}

#[cfg(test)]
mod tests;
