//! One conditional write of views and counters, and the classification of its result.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
        error::TransactionCanceledException,
    },
};
use cqrs::Projection;

use super::{
    changes::{Changes, RowWrite},
    handler::ProjectionHandler,
};
use crate::{
    StoreError,
    call::{ConditionalWrite, existing_item},
    item::Item,
    revision::Revision,
    views::{self, StoredView},
};

/// A write of a view's item, with the changes beside it.
pub(super) struct ViewWrite {
    pub(super) action: ViewAction,
    /// The size of all items in bytes, without counters.
    pub(super) bytes: usize,
    /// The revision that the stored item must still have.
    pub(super) revision: Revision,
    /// The changes of the tables beside the view.
    pub(super) changes: Changes,
}

/// The write of a view's item.
pub(super) enum ViewAction {
    /// Writes the view.
    Put(Item),
    /// Removes the item with this key.
    Delete(Item),
    /// Advances only the bookkeeping, in an instalment.
    Advance(Box<Update>),
}

/// The outcome of writing one chunk.
pub(super) enum WriteOutcome<V> {
    Written,
    /// Nothing is written: these views, by their index in the chunk, have changed since they were read. Holds the
    /// stored views.
    Superseded(BTreeMap<usize, Option<StoredView<V>>>),
    /// The write collided with others, or DynamoDB is unavailable. It may have been written; a retry is safe.
    Busy(StoreError),
    /// Nothing is written: DynamoDB cannot store an item of the chunk, and a retry cannot help.
    Unstorable(StoreError),
    /// Nothing is written, for a reason other than the content of the chunk.
    Failed(StoreError),
}

impl<P: Projection> ProjectionHandler<P> {
    /// Writes the views of a chunk with their changes of the tables beside them: all or nothing.
    pub(super) async fn write(&self, chunk: &[&ViewWrite]) -> WriteOutcome<P::View> {
        let mut changes = Changes::default();
        chunk.iter().for_each(|write| changes.add(&write.changes));
        let outcome = match chunk {
            [ViewWrite { action: ViewAction::Put(item), revision, .. }] if changes.is_empty() => {
                self.put(item, revision).await
            }
            _ => self.transact(chunk, &changes).await,
        };
        outcome.unwrap_or_else(WriteOutcome::Failed)
    }

    /// Writes one view that changes nothing beside it. Costs one write unit per KB, and those of its indexes.
    async fn put(&self, item: &Item, revision: &Revision) -> Result<WriteOutcome<P::View>, StoreError> {
        let put = self.conditional_put(item, revision)?;
        let dynamo = self.views.dynamo();
        let call = dynamo
            .client
            .put_item()
            .table_name(put.table_name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_names(put.expression_attribute_names)
            .set_expression_attribute_values(put.expression_attribute_values)
            .set_return_values_on_condition_check_failure(put.return_values_on_condition_check_failure);
        Ok(match dynamo.write_conditionally(call).await {
            Ok(ConditionalWrite::Written) => WriteOutcome::Written,
            Ok(ConditionalWrite::ConditionFailed(existing)) => {
                WriteOutcome::Superseded(BTreeMap::from([(0, existing.map(views::decode::<P>))]))
            }
            Err(error) => classify(error),
        })
    }

    /// Writes views, counters and rows in one transaction. Costs two write units per KB, and those of the indexes.
    async fn transact(&self, chunk: &[&ViewWrite], changes: &Changes) -> Result<WriteOutcome<P::View>, StoreError> {
        let mut actions = Vec::with_capacity(chunk.len() + 2);
        for write in chunk {
            let action = TransactWriteItem::builder();
            actions.push(match &write.action {
                ViewAction::Put(item) => action.put(self.conditional_put(item, &write.revision)?).build(),
                ViewAction::Delete(key) => action.delete(self.conditional_delete(key, &write.revision)?).build(),
                ViewAction::Advance(update) => action.update((**update).clone()).build(),
            });
        }
        for (table, delta) in &changes.counters {
            let counters = self.counters.get(table.name.as_str()).ok_or_else(|| undeclared(&table.name))?;
            let updates = counters.updates(table.generation, delta)?.into_iter();
            actions.extend(updates.map(|update| TransactWriteItem::builder().update(update).build()));
        }
        for write in &changes.rows {
            actions.push(self.row_action(write)?);
        }
        let dynamo = self.views.dynamo();
        let call = dynamo.client.transact_write_items().set_transact_items(Some(actions));
        let error = match dynamo.send(call).await? {
            Ok(_) => return Ok(WriteOutcome::Written),
            Err(error) => error,
        };
        Ok(match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                classify_cancellation::<P>(cancelled, chunk.len())
            }
            _ => classify(StoreError::from_write(error)),
        })
    }

    /// Builds the write of a row. It needs no condition: only this stream writes the row, and the same transaction
    /// writes the view's item with a condition.
    fn row_action(&self, RowWrite { table, key, put }: &RowWrite) -> Result<TransactWriteItem, StoreError> {
        let deployed = self.rows.get(table.as_str()).ok_or_else(|| undeclared(table))?;
        let action = TransactWriteItem::builder();
        Ok(match put {
            Some(item) => action.put(
                Put::builder().table_name(&**deployed).set_item(Some(item.clone())).build().map_err(StoreError::bug)?,
            ),
            None => action.delete(
                Delete::builder()
                    .table_name(&**deployed)
                    .set_key(Some(key.clone()))
                    .build()
                    .map_err(StoreError::bug)?,
            ),
        }
        .build())
    }

    fn conditional_put(&self, item: &Item, revision: &Revision) -> Result<Put, StoreError> {
        let put = Put::builder()
            .table_name(self.views.table())
            .set_item(Some(item.clone()))
            .condition_expression(revision.condition())
            .set_expression_attribute_names(Some(revision.names()))
            .set_expression_attribute_values(revision.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        put.build().map_err(StoreError::bug)
    }

    fn conditional_delete(&self, key: &Item, revision: &Revision) -> Result<Delete, StoreError> {
        let delete = Delete::builder()
            .table_name(self.views.table())
            .set_key(Some(key.clone()))
            .condition_expression(revision.condition())
            .set_expression_attribute_names(Some(revision.names()))
            .set_expression_attribute_values(revision.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        delete.build().map_err(StoreError::bug)
    }
}

/// The bookkeeping of a table changes only if the code declares the table.
fn undeclared(table: &str) -> StoreError {
    StoreError::bug(format!("a change of the table {table}, which is not declared"))
}

/// Classifies a cancelled transaction by its reasons. DynamoDB returns one reason per action, in the order of the
/// actions; the first `views` of them concern views.
fn classify_cancellation<P: Projection>(
    cancelled: &TransactionCanceledException,
    views: usize,
) -> WriteOutcome<P::View> {
    let reasons = cancelled.cancellation_reasons();
    let code = |reason: &CancellationReason| reason.code().unwrap_or_default().to_owned();
    let superseded: BTreeMap<_, _> = reasons
        .iter()
        .take(views)
        .enumerate()
        .filter(|(_, reason)| code(reason) == "ConditionalCheckFailed")
        .map(|(index, reason)| (index, existing_item(reason.item.clone()).map(views::decode::<P>)))
        .collect();
    let unstorable_codes = ["ValidationError", "ItemCollectionSizeLimitExceeded"];
    if !superseded.is_empty() {
        WriteOutcome::Superseded(superseded)
    } else if reasons.iter().any(|reason| unstorable_codes.contains(&code(reason).as_str())) {
        WriteOutcome::Unstorable(StoreError::bug(cancelled.clone()))
    } else {
        // A conflict, throttling, or an unknown reason. None of them means that an item cannot be stored.
        WriteOutcome::Busy(StoreError::Unavailable(cancelled.clone().into()))
    }
}

/// Classifies an error that is neither a failed condition nor a cancelled transaction.
fn classify<V>(error: StoreError) -> WriteOutcome<V> {
    match error {
        // DynamoDB found the request invalid: an item is too large, or has an invalid value.
        StoreError::Bug(_) => WriteOutcome::Unstorable(error),
        error if error.is_transient() => WriteOutcome::Busy(error),
        error => WriteOutcome::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{LevelView, Levels};

    fn cancelled(codes: &[&str]) -> TransactionCanceledException {
        let reason = |code: &&str| CancellationReason::builder().code(*code).build();
        TransactionCanceledException::builder()
            .set_cancellation_reasons(Some(codes.iter().map(reason).collect()))
            .build()
    }

    fn outcome(codes: &[&str]) -> WriteOutcome<LevelView> {
        classify_cancellation::<Levels>(&cancelled(codes), 2)
    }

    #[test]
    fn views_with_failed_conditions_are_superseded_even_with_other_reasons() {
        let WriteOutcome::Superseded(views) = outcome(&["None", "ConditionalCheckFailed", "TransactionConflict"])
        else {
            panic!("not superseded")
        };
        assert_eq!(views, BTreeMap::from([(1, None)]));
    }

    #[test]
    fn an_item_that_dynamodb_rejects_is_unstorable() {
        for code in ["ValidationError", "ItemCollectionSizeLimitExceeded"] {
            assert!(matches!(outcome(&["None", code, "None"]), WriteOutcome::Unstorable(_)), "{code}");
        }
        assert!(matches!(classify::<LevelView>(StoreError::bug("too large")), WriteOutcome::Unstorable(_)));
    }

    #[test]
    fn conflicts_throttling_and_unknown_reasons_are_busy() {
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "SomethingNew"] {
            assert!(matches!(outcome(&["None", "None", code]), WriteOutcome::Busy(_)), "{code}");
        }
        let unavailable = StoreError::Unavailable("throttled".into());
        assert!(matches!(classify::<LevelView>(unavailable), WriteOutcome::Busy(_)));
    }

    #[test]
    fn denied_access_fails_and_parks_nothing() {
        let denied = StoreError::Denied("no permission".into());
        assert!(matches!(classify::<LevelView>(denied), WriteOutcome::Failed(_)));
    }
}
