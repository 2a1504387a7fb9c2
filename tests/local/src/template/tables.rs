//! Tables of the template.

use super::node::Node;

#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// Names and types (`S`, `N`) of the key attributes.
    pub attributes: Vec<(String, String)>,
    pub key: Key,
    pub indexes: Vec<IndexDefinition>,
    /// The view type of its stream, for example `NEW_IMAGE`.
    pub stream: Option<String>,
}

/// The key of a table or an index. An index may have several attributes of each kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub partition: Vec<String>,
    pub sort: Vec<String>,
}

impl Key {
    pub fn new(partition: &[&str], sort: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self { partition: owned(partition), sort: owned(sort) }
    }

    /// Iterates over the names of all attributes, the partition key first.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.partition.iter().chain(&self.sort)
    }
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDefinition {
    pub name: String,
    pub key: Key,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// The attributes of `INCLUDE`.
    pub attributes: Vec<String>,
}

pub(super) fn table(table: &Node<'_>) -> Result<TableDefinition, String> {
    let attribute = |node: &Node<'_>| Ok((node.need("AttributeName")?.text()?, node.need("AttributeType")?.text()?));
    Ok(TableDefinition {
        attributes: table.need("AttributeDefinitions")?.list(attribute)?,
        key: key(table)?,
        indexes: table.get("GlobalSecondaryIndexes").map_or(Ok(Vec::new()), |indexes| indexes.list(index))?,
        stream: table
            .get("StreamSpecification")
            .map(|stream| stream.need("StreamViewType").and_then(|view| view.text()))
            .transpose()?,
    })
}

fn key(keyed: &Node<'_>) -> Result<Key, String> {
    let elements = keyed
        .need("KeySchema")?
        .list(|element| Ok((element.need("AttributeName")?.text()?, element.need("KeyType")?.text()?)))?;
    let of_kind = |kind: &str| {
        elements.iter().filter(|(_, element_kind)| element_kind == kind).map(|(name, _)| name.clone()).collect()
    };
    Ok(Key { partition: of_kind("HASH"), sort: of_kind("RANGE") })
}

fn index(index: &Node<'_>) -> Result<IndexDefinition, String> {
    let projection = index.need("Projection")?;
    Ok(IndexDefinition {
        name: index.need("IndexName")?.text()?,
        key: key(index)?,
        projection: projection.need("ProjectionType")?.text()?,
        attributes: projection.get("NonKeyAttributes").map_or(Ok(Vec::new()), |names| names.list(Node::text))?,
    })
}
