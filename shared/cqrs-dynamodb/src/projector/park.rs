//! Parking: the item of a view gets the parked mark and otherwise stays unchanged.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use cqrs::{Projection, Version};

use super::{
    handler::{CONCURRENCY, ProjectionHandler, concurrently},
    plan::Work,
    report::CatchUpReport,
};
use crate::{
    Parked, StoreError,
    call::ConditionalWrite,
    item::{number, text},
    parked::{PARKED, PARKED_IN},
    views::{self, SCHEMA, StoredView, VERSION},
};

/// The outcome of parking a stream.
enum ParkOutcome<V> {
    Parked,
    /// Nothing is written: the view has changed since it was read. Holds the stored view.
    Superseded(Option<Box<StoredView<V>>>),
}

impl<P: Projection> ProjectionHandler<P> {
    /// Parks streams that cannot be folded or stored. Returns those whose view has changed since it was read.
    pub(super) async fn park_all<'a>(
        &self,
        streams: Vec<(Work<'a, P::View>, StoreError)>,
        report: &mut CatchUpReport,
    ) -> Vec<Work<'a, P::View>> {
        let park = |(work, error): (Work<'a, P::View>, StoreError)| async {
            let outcome = self.park(&work, &error).await;
            (work, error, outcome)
        };
        let mut superseded = Vec::new();
        for (work, error, outcome) in concurrently(CONCURRENCY, streams.into_iter().map(park).collect()).await {
            match outcome {
                Ok(ParkOutcome::Parked) => report.park(&work.request.stream, error),
                Ok(ParkOutcome::Superseded(stored)) => {
                    superseded.push(Work { stored: stored.map(|stored| *stored), ..work });
                }
                Err(error) => report.fail(&work.request.stream, Arc::new(error)),
            }
        }
        superseded
    }

    /// Creates the parked mark for a stream whose fold `error` stopped after `version`.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if the mark does not serialize.
    pub(super) fn parked_mark(
        &self,
        work: &Work<'_, P::View>,
        version: Version,
        error: &StoreError,
    ) -> Result<AttributeValue, StoreError> {
        let now = self.views.dynamo().environment.now();
        Parked::new(error, version.next(), work.parked(), P::SCHEMA, now).to_attribute()
    }

    /// Parks one stream. Costs one write unit per KB, and those of the index.
    ///
    /// Safe to repeat: the write is conditional on the revision of the stored view.
    async fn park(&self, work: &Work<'_, P::View>, error: &StoreError) -> Result<ParkOutcome<P::View>, StoreError> {
        let revision = work.revision(P::KEY);
        // A stream without a view gets an item that holds only the mark, version 0 and the schema version.
        let update = "SET #parked = :mark, #parked_in = :parked_in, \
                      #version = if_not_exists(#version, :none), #schema = if_not_exists(#schema, :schema_of_code)";
        let call = self
            .views
            .dynamo()
            .client
            .update_item()
            .table_name(self.views.table())
            .key(P::KEY, text(work.request.stream.key()))
            .update_expression(update)
            .condition_expression(revision.condition())
            .set_expression_attribute_names(Some(revision.names()))
            .set_expression_attribute_values(revision.values())
            .expression_attribute_names("#parked", PARKED)
            .expression_attribute_names("#parked_in", PARKED_IN)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_names("#schema", SCHEMA)
            .expression_attribute_values(":mark", self.parked_mark(work, work.stored_version(), error)?)
            .expression_attribute_values(":parked_in", text(P::NAME))
            .expression_attribute_values(":none", number(Version::NONE))
            .expression_attribute_values(":schema_of_code", number(P::SCHEMA))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match self.views.dynamo().write_conditionally(call).await? {
            ConditionalWrite::Written => ParkOutcome::Parked,
            ConditionalWrite::ConditionFailed(existing) => {
                ParkOutcome::Superseded(existing.map(|item| Box::new(views::decode::<P>(item))))
            }
        })
    }
}
