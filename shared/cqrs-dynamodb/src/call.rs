//! Calls of the DynamoDB API, sent within the deadline of the invocation.

use aws_sdk_dynamodb::{
    config,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        batch_get_item, get_item, put_item, query, query::builders::QueryFluentBuilder, scan, transact_get_items,
        transact_write_items, update_item,
    },
    types::{KeysAndAttributes, error::ConditionalCheckFailedException},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{Dynamo, StoreError, item::Item};

/// The number of keys that one `BatchGetItem` allows.
const BATCH: usize = 100;

/// A DynamoDB call that is sent with its own configuration.
pub(crate) trait DynamoCall {
    type Output;
    type Error: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static;

    fn send_with(
        self,
        config: config::Builder,
    ) -> impl Future<Output = Result<Self::Output, SdkError<Self::Error, HttpResponse>>> + Send;
}

macro_rules! calls {
    ($($module:ident :: $builder:ident => $output:ident, $error:ident;)+) => {$(
        impl DynamoCall for $module::builders::$builder {
            type Output = $module::$output;
            type Error = $module::$error;

            async fn send_with(
                self,
                config: config::Builder,
            ) -> Result<Self::Output, SdkError<Self::Error, HttpResponse>> {
                self.customize().config_override(config).send().await
            }
        }
    )+};
}

calls! {
    get_item::GetItemFluentBuilder => GetItemOutput, GetItemError;
    batch_get_item::BatchGetItemFluentBuilder => BatchGetItemOutput, BatchGetItemError;
    query::QueryFluentBuilder => QueryOutput, QueryError;
    scan::ScanFluentBuilder => ScanOutput, ScanError;
    transact_get_items::TransactGetItemsFluentBuilder => TransactGetItemsOutput, TransactGetItemsError;
    put_item::PutItemFluentBuilder => PutItemOutput, PutItemError;
    update_item::UpdateItemFluentBuilder => UpdateItemOutput, UpdateItemError;
    transact_write_items::TransactWriteItemsFluentBuilder => TransactWriteItemsOutput, TransactWriteItemsError;
}

/// The consistency of a read. A strongly consistent read costs twice as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    Strong,
    Eventual,
}

/// The outcome of a conditional write of one item.
pub(crate) enum ConditionalWrite {
    Written,
    /// The condition failed. Holds the existing item, if there is one and the call asked for `ALL_OLD`.
    ConditionFailed(Option<Item>),
}

/// The error of a conditional write.
pub(crate) trait ConditionalError {
    /// Returns the exception of the failed condition, or `None` for any other error.
    fn failed_condition(&self) -> Option<&ConditionalCheckFailedException>;
}

impl ConditionalError for put_item::PutItemError {
    fn failed_condition(&self) -> Option<&ConditionalCheckFailedException> {
        if let Self::ConditionalCheckFailedException(failed) = self { Some(failed) } else { None }
    }
}

impl ConditionalError for update_item::UpdateItemError {
    fn failed_condition(&self) -> Option<&ConditionalCheckFailedException> {
        if let Self::ConditionalCheckFailedException(failed) = self { Some(failed) } else { None }
    }
}

impl Dynamo {
    /// Sends a call, or fails at once if no time is left for it.
    pub(crate) async fn send<C: DynamoCall>(
        &self,
        call: C,
    ) -> Result<Result<C::Output, SdkError<C::Error, HttpResponse>>, StoreError> {
        Ok(call.send_with(self.call_config()?).await)
    }

    /// Sends a read. Without a response, the error is [`StoreError::Unavailable`], because a read can be repeated.
    pub(crate) async fn read<C: DynamoCall>(&self, call: C) -> Result<C::Output, StoreError> {
        self.send(call).await?.map_err(StoreError::from_read)
    }

    /// Sends a conditional write of one item. A failed condition is an outcome, not an error.
    pub(crate) async fn write_conditionally<C>(&self, call: C) -> Result<ConditionalWrite, StoreError>
    where
        C: DynamoCall,
        C::Error: ConditionalError,
    {
        let error = match self.send(call).await? {
            Ok(_) => return Ok(ConditionalWrite::Written),
            Err(error) => error,
        };
        match error.as_service_error().and_then(C::Error::failed_condition) {
            Some(failed) => Ok(ConditionalWrite::ConditionFailed(existing_item(failed.item.clone()))),
            None => Err(StoreError::from_write(error)),
        }
    }

    /// Reads the items with these keys, which must differ. The result omits keys without an item.
    pub(crate) async fn get_items(
        &self,
        table: &str,
        keys: Vec<Item>,
        consistency: Consistency,
    ) -> Result<Vec<Item>, StoreError> {
        let consistent = consistency == Consistency::Strong;
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            let mut pending = keys.to_vec();
            for attempt in 1.. {
                let request = KeysAndAttributes::builder().consistent_read(consistent).set_keys(Some(pending)).build();
                let get = self.client.batch_get_item().request_items(table, request.map_err(StoreError::bug)?);
                let page = self.read(get).await?;
                items.extend(page.responses.into_iter().flatten().flat_map(|(_, items)| items));
                pending = page.unprocessed_keys.into_iter().flatten().flat_map(|(_, rest)| rest.keys).collect();
                if pending.is_empty() {
                    break;
                }
                self.back_off(attempt).await;
            }
        }
        Ok(items)
    }

    /// Reads all pages of a query, in order.
    pub(crate) async fn query_all(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = self.read(query.clone().set_exclusive_start_key(start)).await?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

/// Returns the item that exists at the key of a failed condition. The SDK returns an empty item if none exists.
pub(crate) fn existing_item(item: Option<Item>) -> Option<Item> {
    item.filter(|item| !item.is_empty())
}
