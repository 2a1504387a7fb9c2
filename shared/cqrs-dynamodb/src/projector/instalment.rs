//! Instalments: parts of a change that does not fit into one transaction.
//!
//! An instalment changes the tables beside a view and the view's bookkeeping, by exactly the same steps. It does not
//! change the view and its version. So the counters are the sum of all bookkeeping at every instant, and a fold from
//! the stored item continues with the remaining steps, in this run or after a crash. The last transaction writes the
//! view.

use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, Update};
use cqrs::{Projection, Version};

use super::{
    changes::{Changes, Step, fitting},
    handler::ProjectionHandler,
    plan::Work,
    write::{ViewAction, ViewWrite},
};
use crate::{
    Bookkeeping, StoreError,
    item::{MAX_ITEM, number, text},
    revision::Revision,
    views::{Content, INSTALMENTS, SCHEMA, StoredView, VERSION},
};

impl<P: Projection> ProjectionHandler<P> {
    /// Builds the transaction of the first steps that fit into one. Returns it with the stored view after it.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if the update cannot be built.
    pub(super) fn instalment(
        &self,
        work: &Work<'_, P::View>,
        mut steps: Vec<Step>,
    ) -> Result<(ViewWrite, StoredView<P::View>), StoreError> {
        steps.truncate(fitting(&steps, MAX_ITEM));
        let mut bookkeeping = work.bookkeeping();
        steps.iter().for_each(|step| step.record(&mut bookkeeping));
        let revision = work.revision(P::KEY);
        let update = self.advance(work.request.stream.key(), &revision, &bookkeeping)?;
        let changes = Changes::of(steps);
        let stored = StoredView {
            position: work.stored_position(),
            schema: work.stored.as_ref().map_or(P::SCHEMA, |stored| stored.schema),
            content: work.stored.as_ref().map_or(Content::Deleted, |stored| stored.content.clone()),
            revision: revision.after_instalment(&bookkeeping, P::SCHEMA),
            parked: work.parked().cloned(),
            bookkeeping,
            in_instalments: true,
        };
        let bytes = MAX_ITEM + changes.bytes();
        Ok((ViewWrite { action: ViewAction::Advance(Box::new(update)), bytes, revision, changes }, stored))
    }

    /// Builds the update of a view's item to this bookkeeping. An item that does not exist yet begins at version 0.
    fn advance(&self, key: &str, revision: &Revision, bookkeeping: &Bookkeeping) -> Result<Update, StoreError> {
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let mut update = Update::builder()
            .table_name(self.views.table())
            .key(P::KEY, text(key))
            .condition_expression(revision.condition())
            .set_expression_attribute_names(Some(revision.names()))
            .set_expression_attribute_values(revision.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in bookkeeping.attributes() {
            update = update.expression_attribute_names(format!("#{name}"), name);
            match value {
                Some(value) => {
                    set.push(format!("#{name} = :{name}_after"));
                    update = update.expression_attribute_values(format!(":{name}_after"), value);
                }
                None => remove.push(format!("#{name}")),
            }
        }
        let missing = [(VERSION, number(Version::NONE)), (SCHEMA, number(P::SCHEMA))];
        for (name, value) in missing {
            set.push(format!("#{name} = if_not_exists(#{name}, :{name}_if_missing)"));
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}_if_missing"), value);
        }
        let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        update
            .update_expression(format!("SET {}{remove} ADD #instalments :one", set.join(", ")))
            .expression_attribute_names("#instalments", INSTALMENTS)
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(StoreError::bug)
    }
}
