//! Parks a stream: its view's item says why it stands still, and is otherwise left as it is.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use cqrs::{Projection, Version};

use super::catch_up::ProjectionHandler;
use crate::{
    Parked, StoreError,
    item::{number, text},
    parked::{PARKED, PARKED_IN},
    views::{self, Revision, SCHEMA, StoredView, VERSION},
};

/// What became of a stream that was to be parked.
pub(super) enum ParkOutcome<V> {
    /// It is parked.
    Done,
    /// Its view has changed in the meantime: it is now as given here.
    Superseded(Option<Box<StoredView<V>>>),
}

impl<P: Projection> ProjectionHandler<P> {
    /// Says why a stream stands still, whose view was `stored` and can be folded up to `version` and not beyond.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if it cannot be said: a defect.
    pub(super) fn mark(
        &self,
        stored: Option<&StoredView<P::View>>,
        version: Version,
        failure: &StoreError,
    ) -> Result<AttributeValue, StoreError> {
        let before = stored.and_then(|stored| stored.parked.as_ref());
        Parked::of(failure, version.next(), before, P::SCHEMA, self.views.dynamo().environment.now()).to_attribute()
    }

    /// Parks the stream with this key, whose view is `stored`: one write unit per KB, and that of the index. Safe to
    /// repeat: the condition is that the view is still the one that could not be folded on.
    pub(super) async fn park(
        &self,
        key: &str,
        stored: Option<&StoredView<P::View>>,
        failure: &StoreError,
    ) -> Result<ParkOutcome<P::View>, StoreError> {
        let dynamo = self.views.dynamo();
        let version = stored.map_or(Version::NONE, |stored| stored.version);
        let condition = Revision::unchanged(stored.map(|stored| &stored.revision), P::KEY);
        // Where there is no view yet, the item holds nothing else.
        let update = "SET #parked = :mark, #parked_in = :parked_in, \
                      #version = if_not_exists(#version, :none), #schema = if_not_exists(#schema, :schema_of_code)";
        let outcome = dynamo
            .client
            .update_item()
            .table_name(self.views.table())
            .key(P::KEY, text(key))
            .update_expression(update)
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values))
            .expression_attribute_names("#parked", PARKED)
            .expression_attribute_names("#parked_in", PARKED_IN)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_names("#schema", SCHEMA)
            .expression_attribute_values(":mark", self.mark(stored, version, failure)?)
            .expression_attribute_values(":parked_in", text(P::NAME))
            .expression_attribute_values(":none", number(Version::NONE))
            .expression_attribute_values(":schema_of_code", number(P::SCHEMA))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .customize()
            .config_override(dynamo.call_config()?)
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(ParkOutcome::Done),
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => {
                let UpdateItemError::ConditionalCheckFailedException(failed) = answer.into_err() else {
                    return Ok(ParkOutcome::Superseded(None));
                };
                let item = failed.item.filter(|item| !item.is_empty());
                Ok(ParkOutcome::Superseded(item.map(|item| Box::new(views::decode::<P>(item).1))))
            }
            Err(error) => Err(StoreError::from_write(error)),
        }
    }
}
