//! Calls of the DynamoDB API, sent within the deadline of the invocation.

use aws_sdk_dynamodb::{
    config,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        batch_get_item, get_item, put_item, query, query::builders::QueryFluentBuilder, scan, transact_get_items,
        transact_write_items, update_item,
    },
    types::error::ConditionalCheckFailedException,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{Dynamo, StoreError, item::Item};

const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// A call that the SDK can send with a configuration of its own.
pub(crate) trait Call {
    type Output;
    type Error: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static;

    fn send_with(
        self,
        config: config::Builder,
    ) -> impl Future<Output = Result<Self::Output, SdkError<Self::Error, HttpResponse>>> + Send;
}

macro_rules! calls {
    ($($module:ident :: $builder:ident => $output:ident, $error:ident;)+) => {$(
        impl Call for $module::builders::$builder {
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

/// The result of a write of one item on a condition.
pub(crate) enum ConditionalWrite {
    Written,
    /// The condition failed. Holds the existing item, if there is one and the call asked for `ALL_OLD`.
    ConditionFailed(Option<Item>),
}

/// The error of a call that can fail on its condition.
pub(crate) trait ConditionalError {
    /// Returns the failed condition, if that is the error.
    fn failed_condition(self) -> Option<ConditionalCheckFailedException>;
}

impl ConditionalError for put_item::PutItemError {
    fn failed_condition(self) -> Option<ConditionalCheckFailedException> {
        if let Self::ConditionalCheckFailedException(failed) = self { Some(failed) } else { None }
    }
}

impl ConditionalError for update_item::UpdateItemError {
    fn failed_condition(self) -> Option<ConditionalCheckFailedException> {
        if let Self::ConditionalCheckFailedException(failed) = self { Some(failed) } else { None }
    }
}

impl Dynamo {
    /// Sends a call, or fails at once if no time is left for it.
    pub(crate) async fn send<C: Call>(
        &self,
        call: C,
    ) -> Result<Result<C::Output, SdkError<C::Error, HttpResponse>>, StoreError> {
        Ok(call.send_with(self.call_config()?).await)
    }

    /// Sends a call that reads.
    pub(crate) async fn read<C: Call>(&self, call: C) -> Result<C::Output, StoreError> {
        self.send(call).await?.map_err(StoreError::from_read)
    }

    /// Sends a write of one item on a condition.
    pub(crate) async fn write_conditionally<C>(&self, call: C) -> Result<ConditionalWrite, StoreError>
    where
        C: Call,
        C::Error: ConditionalError,
    {
        let failed = match self.send(call).await? {
            Ok(_) => return Ok(ConditionalWrite::Written),
            Err(SdkError::ServiceError(answer)) if answer.err().code() == Some(CONDITION_FAILED) => {
                answer.into_err().failed_condition()
            }
            Err(error) => return Err(StoreError::from_write(error)),
        };
        Ok(ConditionalWrite::ConditionFailed(failed.and_then(|failed| existing_item(failed.item))))
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

/// Returns the item that exists at the key of a failed condition. The SDK gives an empty item where there is none.
pub(crate) fn existing_item(item: Option<Item>) -> Option<Item> {
    item.filter(|item| !item.is_empty())
}
