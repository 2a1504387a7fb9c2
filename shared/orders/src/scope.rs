//! The permissions of callers.

use cqrs::Scope;

/// Place and cancel the caller's own orders.
pub const WRITE: Scope = Scope::new("orders/write");
/// Read the caller's own orders.
pub const READ: Scope = Scope::new("orders/read");
/// Read, ship and deliver any order.
pub const FULFIL: Scope = Scope::new("orders/fulfil");
/// Everything, including the dashboard.
pub const ADMIN: Scope = Scope::new("orders/admin");
