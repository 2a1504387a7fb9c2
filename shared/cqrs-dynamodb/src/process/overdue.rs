//! The instances with a due timer, from the index of the pending timers.

use cqrs::{
    Index, Process, Projection, StreamId, Time,
    process::{BUCKETS, PendingTimers},
};
use jiff::Timestamp;

use crate::{
    StoreError, Views,
    item::{text, text_of},
};

/// An instance whose earliest timer is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DueInstance {
    /// The source stream.
    pub source: StreamId,
    /// The time of the earliest timer.
    pub due: Timestamp,
}

impl<P: Process> Views<PendingTimers<P>> {
    /// Lists at most `limit` instances whose earliest timer is due at `until`, the earliest first. Eventually
    /// consistent; costs half a read unit per 4 KB for each of the [`BUCKETS`], also without a due timer.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn due(&self, until: Timestamp, limit: u16) -> Result<Vec<DueInstance>, StoreError> {
        let Index { name, partition, sort, .. } = PendingTimers::<P>::BY_DUE;
        let names = partition.iter().map(|field| ("#bucket", *field)).chain(sort.iter().map(|field| ("#due", *field)));
        let names = names.map(|(name, field)| (name.to_owned(), field.to_owned())).collect();
        let query = self
            .dynamo()
            .client
            .query()
            .table_name(self.table())
            .index_name(name)
            .key_condition_expression("#bucket = :bucket AND #due <= :until")
            .set_expression_attribute_names(Some(names))
            .expression_attribute_values(":until", text(Time::from(until)))
            .limit(limit.into());
        let mut instances = Vec::new();
        for bucket in 0..BUCKETS {
            let page = self
                .dynamo()
                .read(query.clone().expression_attribute_values(":bucket", text(bucket.to_string())))
                .await?;
            instances.extend(page.items.unwrap_or_default());
        }
        let mut instances = instances
            .iter()
            .map(|item| {
                let key = text_of(item, PendingTimers::<P>::KEY)?;
                let due = text_of(item, sort.first()?)?.parse().ok()?;
                Some(DueInstance { source: StreamId::of::<P::Source>(key), due })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| StoreError::bug(format!("the index {name} has an item without its keys")))?;
        instances.sort_by_key(|instance| instance.due);
        instances.truncate(limit.into());
        Ok(instances)
    }
}
