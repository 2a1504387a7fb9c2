//! The checks of declarations, with projections of lamps that differ only in their names.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{Counters, Event, Recorded, RowKey};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum LampEvent {
    #[serde(rename = "lamp.lit")]
    Lit {},
}

impl Event for LampEvent {
    const CATEGORY: &'static str = "lamp";
    const SCHEMAS: &'static [(&'static str, u32)] = &[("lamp.lit", 1)];
}

/// Declares a projection.
macro_rules! projection {
    ($projection:ident, $name:literal) => {
        struct $projection;

        impl Projection for $projection {
            type Event = LampEvent;
            type View = u64;

            const NAME: &'static str = $name;
            const KEY: &'static str = "lamp_id";
            const SCHEMA: u32 = 1;

            fn evolve(view: Option<u64>, _: Recorded<'_, LampEvent>) -> Option<u64> {
                Some(view.unwrap_or_default() + 1)
            }
        }
    };
}

/// Declares a rollup.
macro_rules! rollup {
    ($rollup:ident over $projection:ident, $name:literal in $table:expr) => {
        struct $rollup;

        impl Rollup for $rollup {
            type Projection = $projection;

            const NAME: &'static str = $name;
            const TABLE: &'static str = $table;

            fn contribution(view: &u64) -> Counters {
                Counters::default().with("all", "lit", i128::from(*view))
            }
        }
    };
}

projection!(Lamps, "lamps");
projection!(OldLamps, "lamps");
projection!(Rooms, "rooms");
rollup!(Usage over Lamps, "usage" in Self::NAME);
rollup!(Evenings over Lamps, "evenings" in "usage");
rollup!(RoomUsage over Rooms, "room-usage" in "usage");
rollup!(InTheViews over Rooms, "in-the-views" in "lamps");

fn declared(declare: impl Fn(DeclaredTables) -> DeclaredTables) -> Result<Vec<&'static str>, DeclarationError> {
    declare(DeclaredTables::default()).check().map(|tables| tables.into_keys().collect())
}

#[test]
fn rollups_of_several_projections_may_share_a_table() {
    let lamps = || ReadModel::<Lamps>::new().rollup::<Usage>().rollup::<Evenings>();
    let tables = declared(|models| models.add(lamps()).add(ReadModel::<Rooms>::new().rollup::<RoomUsage>()));
    assert_eq!(tables, Ok(vec!["lamps", "rooms", "usage"]));
    let views = ReadTable { name: "lamps", kind: TableKind::Views { key: "lamp_id" } };
    assert_eq!(lamps().tables(), BTreeSet::from([views, ReadTable { name: "usage", kind: TableKind::Counters }]));
}

#[test]
fn a_name_may_be_declared_only_once() {
    let twice = |name| Err(DeclarationError::NameDeclaredTwice(name));
    let lamps = ReadModel::<Lamps>::new;
    assert_eq!(declared(|models| models.add(lamps()).add(ReadModel::<OldLamps>::new())), twice("lamps"));
    assert_eq!(declared(|models| models.add(lamps().rollup::<Usage>().rollup::<Usage>())), twice("usage"));
}

#[test]
fn a_table_has_one_kind_of_content() {
    let rooms = || ReadModel::<Rooms>::new().rollup::<InTheViews>();
    let declared = declared(|models| models.add(ReadModel::<Lamps>::new()).add(rooms()));
    let error = declared.unwrap_err();
    assert_eq!(error, DeclarationError::TableOfTwoKinds("lamps"));
    assert_eq!(error.to_string(), "the table lamps is declared for two kinds of content");
}

struct Lightings;

impl Tally for Lightings {
    type Projection = Lamps;

    const NAME: &'static str = "lightings";
    const TABLE: &'static str = "usage";

    fn count(recorded: Recorded<'_, LampEvent>) -> Counters {
        match recorded.event {
            LampEvent::Lit {} => Counters::default().with("all", "lightings", 1),
        }
    }
}

struct LampsByUsage;

impl Rows for LampsByUsage {
    type Projection = Lamps;
    type Row = BTreeMap<String, u64>;

    const NAME: &'static str = "lamps-by-usage";

    fn rows(view: &u64) -> Vec<(RowKey, BTreeMap<String, u64>)> {
        vec![(RowKey::new("all", view.to_string()), BTreeMap::from([("lit".to_owned(), *view)]))]
    }
}

#[test]
fn tallies_share_tables_with_rollups_and_rows_have_their_own() {
    let model = ReadModel::<Lamps>::new().rollup::<Usage>().tally::<Lightings>().rows::<LampsByUsage>();
    assert_eq!(model.names(), ["lamps", "usage", "lightings", "lamps-by-usage"]);
    let tables: Vec<_> = model.tables().into_iter().map(|table| (table.name, table.kind)).collect();
    let views = ("lamps", TableKind::Views { key: "lamp_id" });
    assert_eq!(tables, [views, ("lamps-by-usage", TableKind::Rows), ("usage", TableKind::Counters)]);
    let rows = (model.declared_rows()[0].rows)(&3).unwrap();
    assert_eq!(rows.keys().collect::<Vec<_>>(), [&RowKey::new("all", "3")]);
}
