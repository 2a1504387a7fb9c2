//! Lists of views, which a projection declares and a global secondary index keeps.

/// A list of the views of one projection: an index whose keys are text fields of the view.
///
/// The key of the view follows the sort fields, so that two views never have the same position. DynamoDB allows four
/// partition fields and, with the key of the view, four sort fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// The name of the global secondary index.
    pub name: &'static str,
    /// The fields that all views of one list share. A view that lacks one of them is in no list.
    pub partition: &'static [&'static str],
    /// The fields that sort a list.
    pub sort: &'static [&'static str],
    /// The fields that a row of the list shows, beside the fields above.
    pub shows: &'static [&'static str],
}
