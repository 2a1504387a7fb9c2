//! The OpenAPI schemas that the documents refer to.

use cqrs::openapi::{Schemas, refer_to};
use orders::openapi::items_of;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::documents::ItemDocument;

/// The schema of the items in the body of `POST /orders`.
#[derive(Debug)]
pub struct NewItems;

impl PartialSchema for NewItems {
    fn schema() -> RefOr<Schema> {
        items_of::<ItemDocument>()
    }
}

impl ToSchema for NewItems {
    fn schemas(schemas: &mut Schemas) {
        refer_to::<ItemDocument>(schemas);
    }
}
