//! One conditional write of views and counters, and what its answer means.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        error::TransactionCanceledException,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use cqrs::{Counters, Projection};

use super::{
    catch_up::{ProjectionHandler, Write},
    chunk::Weighed,
};
use crate::{
    StoreError,
    item::{Item, existing_item},
    views::{self, Revision, StoredView},
};

/// What became of a chunk.
pub(super) enum WriteOutcome<V> {
    /// All of it is written.
    Written,
    /// Nothing is written: these views, by their place in the chunk, have changed since they were folded from. They
    /// are now as given here.
    Superseded(BTreeMap<usize, Option<StoredView<V>>>),
    /// Nothing is written, or it is not known whether: it collided with others, or the tables are not available.
    /// Sending it again is safe.
    Busy(StoreError),
    /// Nothing is written: something in the chunk cannot be stored, however often it is sent.
    Unacceptable(StoreError),
    /// Nothing is written, and it is not the chunk's fault.
    Failed(StoreError),
}

impl<P: Projection> ProjectionHandler<P> {
    /// Writes the views of a chunk and the difference they make to the counters: all or nothing.
    pub(super) async fn send(&self, chunk: &[Write<'_, P::View>]) -> WriteOutcome<P::View> {
        let mut delta = Counters::default();
        chunk.iter().for_each(|write| delta += write.delta());
        let sent = match chunk {
            [single] if delta.is_zero() => self.put(single).await,
            _ => self.transact(chunk, &delta).await,
        };
        sent.unwrap_or_else(WriteOutcome::Failed)
    }

    /// One view alone: one write unit per KB, and those of its indexes.
    async fn put(&self, write: &Write<'_, P::View>) -> Result<WriteOutcome<P::View>, StoreError> {
        let put = self.conditional_put(write)?;
        let dynamo = self.views.dynamo();
        let outcome = dynamo
            .client
            .put_item()
            .table_name(put.table_name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_names(put.expression_attribute_names)
            .set_expression_attribute_values(put.expression_attribute_values)
            .set_return_values_on_condition_check_failure(put.return_values_on_condition_check_failure)
            .customize()
            .config_override(dynamo.call_config()?)
            .send()
            .await;
        Ok(match outcome {
            Ok(_) => WriteOutcome::Written,
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => {
                WriteOutcome::Superseded(BTreeMap::from([(0, stored::<P>(existing_item(answer.into_err())))]))
            }
            Err(error) => not_written(error),
        })
    }

    /// Views and counters together: two write units per KB, and those of their indexes.
    async fn transact(
        &self,
        chunk: &[Write<'_, P::View>],
        delta: &Counters,
    ) -> Result<WriteOutcome<P::View>, StoreError> {
        let mut actions = Vec::with_capacity(chunk.len() + 2);
        for write in chunk {
            actions.push(TransactWriteItem::builder().put(self.conditional_put(write)?).build());
        }
        if let Some(rollup) = &self.rollup {
            let updates = rollup.counters.updates(delta)?.into_iter();
            actions.extend(updates.map(|update| TransactWriteItem::builder().update(update).build()));
        }
        let dynamo = self.views.dynamo();
        let outcome = dynamo
            .client
            .transact_write_items()
            .set_transact_items(Some(actions))
            .customize()
            .config_override(dynamo.call_config()?)
            .send()
            .await;
        Ok(match outcome {
            Ok(_) => WriteOutcome::Written,
            Err(SdkError::ServiceError(answer)) if answer.err().is_transaction_canceled_exception() => {
                match answer.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        why_cancelled::<P>(cancelled, chunk.len())
                    }
                    other => WriteOutcome::Failed(StoreError::Bug(other.into())),
                }
            }
            Err(error) => not_written(error),
        })
    }

    /// The view, on condition that the stored one is still the one it was folded from.
    fn conditional_put(&self, write: &Write<'_, P::View>) -> Result<Put, StoreError> {
        let put = Put::builder().table_name(self.views.table()).set_item(Some(write.item.clone()));
        let condition = Revision::unchanged(write.folded_from(), P::KEY);
        let put = put
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        put.build().map_err(StoreError::bug)
    }
}

/// What the reasons of a cancelled transaction, one an action and in their order, say about its views.
fn why_cancelled<P: Projection>(cancelled: TransactionCanceledException, views: usize) -> WriteOutcome<P::View> {
    let reasons = cancelled.cancellation_reasons.as_deref().unwrap_or_default();
    let code = |reason: &CancellationReason| reason.code.clone().unwrap_or_default();
    let superseded: BTreeMap<_, _> = reasons
        .iter()
        .take(views)
        .enumerate()
        .filter(|(_, reason)| code(reason) == "ConditionalCheckFailed")
        .map(|(place, reason)| (place, stored::<P>(reason.item.clone())))
        .collect();
    let unacceptable = ["ValidationError", "ItemCollectionSizeLimitExceeded"];
    if !superseded.is_empty() {
        WriteOutcome::Superseded(superseded)
    } else if reasons.iter().any(|reason| unacceptable.contains(&code(reason).as_str())) {
        WriteOutcome::Unacceptable(StoreError::Bug(cancelled.into()))
    } else {
        // A conflict, throttling, or what nobody knows of yet: no reason to park what can be stored.
        WriteOutcome::Busy(StoreError::Unavailable(cancelled.into()))
    }
}

fn stored<P: Projection>(item: Option<Item>) -> Option<StoredView<P::View>> {
    item.filter(|item| !item.is_empty()).map(|item| views::decode::<P>(item).1)
}

/// What an error says that is neither a failed condition nor a cancelled transaction.
fn not_written<V, E>(error: SdkError<E, HttpResponse>) -> WriteOutcome<V>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let is_validation = error.as_service_error().and_then(E::code) == Some("ValidationException");
    match StoreError::from_write(error) {
        failure if is_validation => WriteOutcome::Unacceptable(failure),
        failure if failure.is_transient() => WriteOutcome::Busy(failure),
        failure => WriteOutcome::Failed(failure),
    }
}
